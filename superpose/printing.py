"""Text of a stranger on a terminal: what would move the cursor, colour or hide other text is shown, not obeyed."""


def printable(text: str) -> str:
    r"""The text with every control character written out, as \\x1b; lines and tabs stay."""
    return "".join(c if c.isprintable() or c in "\n\t" else ascii(c)[1:-1] for c in text)
