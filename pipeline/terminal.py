"""Hostile text on a terminal: an article may hold escape sequences."""

from __future__ import annotations


def plain(text: str, *, keep_lines: bool = False) -> str:
    r"""The text with everything that is not printable written as an escape (``\x1b``).

    That is every control and format character: escape sequences, bidirectional overrides,
    zero-width characters. It is not marked up either; give it to rich as ``rich.text.Text``.

    Args:
        text: anything.
        keep_lines: leave line feeds and tabs as they are.
    """
    kept = "\n\t" if keep_lines else ""
    return "".join(
        character
        if character.isprintable() or character in kept
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def shortened(text: str, length: int) -> str:
    """At most ``length`` characters of the text, the last an ellipsis where some are missing."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
