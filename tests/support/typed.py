"""Text as a test's author can type it."""


def plain(text: str) -> str:
    """The text with ordinary spaces and minus signs, so that expectations can be typed."""
    return text.replace("\N{NARROW NO-BREAK SPACE}", " ").replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")
