"""The demo: a base model, general text and the example spec, all found on this machine, through the whole of midtrain."""
