"""Hostile text on a terminal."""

from __future__ import annotations

from pipeline.terminal import plain, shortened


def test_nothing_unprintable_passes() -> None:
    """Controls, separators, marks of direction, half surrogates, tags: only their escapes pass."""
    assert plain("".join(map(chr, (*range(0x3100), 0xD800, 0xFEFF, 0xE0001)))).isprintable()


def test_escapes_are_visible() -> None:
    """An escape sequence and a bidirectional override are written out, Albanian is not."""
    assert plain("\x1b]0;x\x07 çështje \u202e\n") == "\\x1b]0;x\\x07 çështje \\u202e\\n"
    assert plain("a\nb\tc", keep_lines=True) == "a\nb\tc"
    assert shortened("abcdef", 4) == "abc…"
