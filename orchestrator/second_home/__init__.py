"""A run's second home: a URL that gets every checkpoint, and that a machine which has nothing resumes from."""
