"""Which characters a text that people type may not hold: those that nobody sees, or that reorder what is seen."""

from __future__ import annotations

import re
import unicodedata

_KEPT = "\n\r\t"
# Bidi controls turn "gnp.exe" into "exe.png"; the others have no width. Joiners (U+200C, U+200D) are letters' own.
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb]")


def unseen(text: str) -> str:
    """The first character that is refused, as U+XXXX with its name; empty when there is none.

    >>> unseen("a claim\\n"), unseen("a\\x00"), unseen("a\\u202eb")
    ('', 'U+0000', 'U+202E (RIGHT-TO-LEFT OVERRIDE)')
    """
    if text.isascii() and text.isprintable():
        return ""
    for character in text:
        category = unicodedata.category(character)
        if (category in ("Cc", "Cs") and character not in _KEPT) or _UNSEEN.match(character):
            name = unicodedata.name(character, "")
            return f"U+{ord(character):04X}" + (f" ({name})" if name else "")
    return ""
