"""Where a reader sees one character: boundaries of grapheme clusters, for the warning `splits_grapheme`.

The rules are those of Unicode Annex 29 without Prepend and the Indic conjunct rule: enough to know
that a span cuts an accent from its letter, a flag, an emoji family, a Hangul syllable or CRLF.
"""

from __future__ import annotations

import unicodedata

_ZWJ = "\u200d"
_ZWNJ = "\u200c"
_CONTROLS = frozenset({"Cc", "Cf", "Zl", "Zp"})


def is_grapheme_boundary(text: str, offset: int) -> bool:
    """Whether a reader sees the end of one character and the start of another at this offset."""
    if offset <= 0 or offset >= len(text):
        return True
    before, after = text[offset - 1], text[offset]
    if before.isascii() and after.isascii():
        return not (before == "\r" and after == "\n")
    if _is_control(before) or _is_control(after):
        return True
    if _is_extending(after) or _joins_hangul(before, after):
        return False
    if before == _ZWJ and _is_pictograph(after):
        return not _pictograph_precedes(text, offset - 1)
    if _is_regional(before) and _is_regional(after):
        return _regionals_before(text, offset) % 2 == 0
    return True


def _is_extending(char: str) -> bool:
    code = ord(char)
    return (
        char in (_ZWJ, _ZWNJ)
        or 0x1F3FB <= code <= 0x1F3FF  # skin tones
        or 0xE0020 <= code <= 0xE007F  # the tags that spell a subdivision flag
        or unicodedata.category(char) in ("Mn", "Me", "Mc")
    )


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _CONTROLS and not _is_extending(char)


def _is_regional(char: str) -> bool:
    return 0x1F1E6 <= ord(char) <= 0x1F1FF


def _is_pictograph(char: str) -> bool:
    return 0x1F000 <= ord(char) <= 0x1FAFF or unicodedata.category(char) == "So"


def _pictograph_precedes(text: str, offset: int) -> bool:
    position = offset - 1
    while position >= 0 and _is_extending(text[position]):
        position -= 1
    return position >= 0 and _is_pictograph(text[position])


def _regionals_before(text: str, offset: int) -> int:
    position = offset
    while position > 0 and _is_regional(text[position - 1]):
        position -= 1
    return offset - position


def _joins_hangul(before: str, after: str) -> bool:
    first, second = _hangul_kind(before), _hangul_kind(after)
    if first == "L":
        return second in ("L", "V", "LV", "LVT")
    if first in ("V", "LV"):
        return second in ("V", "T")
    return first in ("T", "LVT") and second == "T"


def _hangul_kind(char: str) -> str:
    code = ord(char)
    if 0x1100 <= code <= 0x115F or 0xA960 <= code <= 0xA97C:
        return "L"
    if 0x1160 <= code <= 0x11A7 or 0xD7B0 <= code <= 0xD7C6:
        return "V"
    if 0x11A8 <= code <= 0x11FF or 0xD7CB <= code <= 0xD7FB:
        return "T"
    if 0xAC00 <= code <= 0xD7A3:
        return "LV" if (code - 0xAC00) % 28 == 0 else "LVT"
    return ""
