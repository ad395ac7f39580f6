"""Texts as they are kept and shown: on one line, with nothing in them that reorders or hides.

The order event's fields and whatever is shown of a message that nobody has validated yet read alike.
"""

from __future__ import annotations

import re
import unicodedata

NOTIFICATION_ID = re.compile("[0-9a-f]{40}")
"""What a notification is called: see `steps.ledger.rules.notification_id`."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_TERMINAL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_BIDI_CONTROL = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]")
_BIDI_MARK = re.compile("[\u200e\u200f\u061c]")
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and a symbol that show nothing: Hangul fillers, the empty Braille pattern."""
_SYMBOLS = range(0x1F000, 0x20000)
"""The plane of the emoji, to which every Unicode adds."""


def one_line(text: str) -> str:
    """Make a text one line that cannot reorder what is around it (Unicode TR 36, 3.3).

    Marks stay: Arabic and Hebrew shops write them, and they do no more than a letter of their direction.
    """
    return " ".join(_CONTROL.sub(" ", _BIDI_CONTROL.sub("", text)).split())


def harmless(text: str) -> str:
    """Return a text with its lines, but without what a terminal obeys or what reorders it."""
    return _TERMINAL.sub("", _BIDI_CONTROL.sub("", text))


def identifier(text: str) -> str:
    """Make a text an id: one line, and no marks, since two ids must not differ by what nobody sees."""
    return one_line(_BIDI_MARK.sub("", text))


def shows(character: str) -> bool:
    """Whether a character shows something by itself."""
    if unicodedata.category(character) == "Cn":
        return ord(character) in _SYMBOLS  # An emoji that is younger than this Python.
    return unicodedata.category(character)[0] in "LNPS" and character not in _BLANK
