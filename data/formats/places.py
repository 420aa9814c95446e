"""Entities that repeat their text: is it at their place, and if not, what do their offsets count?"""

from __future__ import annotations

import re
import sys
from functools import lru_cache

# A character of two UTF-16 code units.
WIDE = re.compile(r"[\U00010000-\U0010ffff]")


def differs(covered: str, repeated: str) -> bool:
    """Whether two texts differ in more than white space. Some tools change line ends in the text that they repeat."""
    return "".join(covered.split()) != "".join(repeated.split())


def other_counting(text: str, start: int, end: int, repeated: str) -> str:
    """How offsets count where the text that they should cover stands at another place.

    Example:
        >>> other_counting("\U0001f600 Anna", 3, 7, "Anna")
        '; its offsets count UTF-16 code units, as JavaScript does, expected characters'

    Args:
        start, end: the offsets; `end` is exclusive.
        repeated: the text that the entity repeats.

    Returns:
        The end of a message; empty where no usual way to count fits.
    """
    units = text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end]
    if may_be_shifted(text, end) and not differs(units.decode("utf-16-le", "replace"), repeated):
        return "; its offsets count UTF-16 code units, as JavaScript does, expected characters"
    if "\r\n" in text and not differs(text.replace("\r\n", "\n")[start:end], repeated):
        return "; its offsets count a line end as one character, and the text has two for it, \\r\\n"
    # The text may have a byte order mark that the offsets do not count, or lack a character that they count.
    for shift in (1, -1):
        if start + shift >= 0 and text[start + shift : end + shift] == repeated:
            return f"; it stands at {start + shift} to {end + shift}"
    if not differs(text[start : end + 1], repeated):
        return "; its end seems to be inclusive"
    return ""


def may_be_shifted(text: str, end: int) -> bool:
    """Whether a tool that counts UTF-16 code units has other offsets before `end`."""
    return _first_wide(text) < end


@lru_cache(maxsize=8)
def _first_wide(text: str) -> int:
    """The place of the first character that has two UTF-16 code units; without one, a place behind all texts."""
    match = WIDE.search(text)
    return sys.maxsize if match is None else match.start()


def on_word_borders(text: str, start: int, end: int) -> bool:
    """Whether no word goes on before or behind a span."""
    before, after = text[max(start - 1, 0) : start + 1], text[max(end - 1, 0) : end + 1]
    inside = any(len(pair) == 2 and pair.isalnum() for pair in (before if start else "", after))
    return 0 <= start < end <= len(text) and not inside and text[start:end] == text[start:end].strip()
