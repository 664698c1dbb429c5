"""Words with exact offsets, for any Unicode text.

The text is never trimmed, normalised or copied: a token is a slice of it, and every code point
that is not a separator belongs to exactly one token. Splitting is close to the Penn Treebank's and
the Groningen Meaning Bank's: punctuation and currency signs stand alone, ``'s`` and ``n't`` are cut
off, hyphenated words and abbreviations stay whole. A combining mark, a joiner or an emoji modifier
never leaves its base, and scripts written without spaces are cut into single characters so that a
reviewer can set a boundary anywhere.

One regular expression does the work, without ambiguous repetition: time is linear in the text.
"""

from __future__ import annotations

import re
import unicodedata

from msgspec import Struct

TOKENIZER_VERSION = 1


# A Struct, not a dataclass: a request makes hundreds, and one of these takes a fifth of the time.
class Token(Struct, frozen=True, gc=False):
    """A word and where it stands: ``text[start:end] == word``."""

    word: str
    start: int
    end: int


def tokenize(text: str) -> list[Token]:
    """All tokens of the text, in order."""
    tokens: list[Token] = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        if match.lastgroup == "word":
            for cut in _cuts(match[0], start, end):
                tokens.append(Token(text[start:cut], start, cut))
                start = cut
        tokens.append(Token(text[start:end], start, end))
    return tokens


def _cuts(word: str, start: int, end: int) -> tuple[int, ...]:
    """Where a matched word falls into two: before a clitic, before a full stop."""
    if word[-1] == "." and not _ABBREVIATION.fullmatch(word):
        return (end - 1, *_clitic(word[:-1], start))[::-1]
    return _clitic(word, start)


def _clitic(word: str, start: int) -> tuple[int, ...]:
    if "'" not in word and "\N{RIGHT SINGLE QUOTATION MARK}" not in word:
        return ()
    found = _CLITIC.search(word)
    return (start + found.start(),) if found and found.start() else ()


def _ranges(points: list[int]) -> str:
    """A regular-expression class of the given code points, which are in order."""
    runs: list[tuple[int, int]] = []
    for point in points:
        if runs and runs[-1][1] == point - 1:
            runs[-1] = (runs[-1][0], point)
        else:
            runs.append((point, point))
    return "".join(f"\\U{first:08x}" + (f"-\\U{last:08x}" if last > first else "") for first, last in runs)


# Marks live below U+1F000; above it only emoji modifiers, tags and variation selectors matter.
_MARKS = (
    _ranges(
        [point for point in range(0x300, 0x1F000) if unicodedata.category(chr(point)) in ("Mn", "Mc", "Me")]
    )
    + "\u00ad\u200c\u200d\u2060\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\U000e0100-\U000e01ef"
)
# White space, controls, and the invisible signs that only steer direction or line breaks.
_SEPARATORS = "\\s\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2061-\u206f\ufeff"
# Thai to Tibetan, Myanmar, Khmer, kana and Han: written without spaces between words.
_UNSPACED = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)

# No possessive quantifiers: Python before 3.11.5, Debian 12's among them, matches them wrongly.
_RUN = f"[^\\W{_UNSPACED}](?:[^\\W{_UNSPACED}]|[{_MARKS}])*"
_APOSTROPHES = "'\u2019"
# A joiner holds two runs together only between them; a comma or colon only between digits; a full
# stop not where a sentence ends without a space ("end.Next").
_JOINED = (
    rf"(?:(?:[{_APOSTROPHES}&@_\u00b7]|\.?[-/\u2010\u2011]|(?<=\d)[,:](?=\d)"
    rf"|(?!(?<=[a-z])\.[A-Z][a-z])\.){_RUN})*"
)
# Nearly every word: what may stand in it is found several times faster than what may stand in any.
_PLAIN = r"[A-Za-z]+(?=[ \n,;]|\Z)"
_TOKEN = re.compile(
    rf"""
      (?P<plain>{_PLAIN})
    | (?P<url>(?:https?|ftp)://[^{_SEPARATORS}<>"']*[^{_SEPARATORS}<>"'.,;:!?)\]])
    | (?P<word>{_RUN}{_JOINED}(?:\.(?!\.))?)
    | (?P<clitic>[{_APOSTROPHES}](?:[sdmSDM]|re|ve|ll|RE|VE|LL)(?![\w{_MARKS}]))
    | (?P<unspaced>[{_UNSPACED}][{_MARKS}]*)
    | (?P<flag>[\U0001f1e6-\U0001f1ff]{{2}}[{_MARKS}]*)
    | (?P<repeated>(?P<same>[.\-_=*~#+!?`])(?P=same)+)
    | (?P<sign>[^{_SEPARATORS}{_MARKS}][{_MARKS}]*
        (?:(?<=\u200d)[^\w{_SEPARATORS}{_MARKS}][{_MARKS}]*)*)
    | (?P<stray>[{_MARKS}]+)
    """,
    re.VERBOSE,
)
_CLITIC = re.compile(rf"(?:n[{_APOSTROPHES}]t|[{_APOSTROPHES}](?:s|d|m|re|ve|ll))\Z", re.IGNORECASE)
_ABBREVIATION = re.compile(
    r"""
      (?:[^\W\d_]\.)+                                            # U.S.  J.
    | .*[-.](?:[^\W\d_]\.)+                                      # anti-U.S.
    | (?:Mr|Mrs|Ms|Messrs|Dr|Prof|Gen|Lt|Col|Capt|Cmdr|Adm|Maj|Sgt|Brig|Rev|Hon|Sen|Rep|Gov|Pres
        |St|Mt|Ft|Jr|Sr|Esq|Inc|Corp|Co|Ltd|Bros|Cos|LLC|PLC|vs|etc|al|approx|dept|est|No|Nos|Art
        |Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec|Mon|Tue|Tues|Wed|Thu|Thur|Thurs|Fri
        |Ala|Ariz|Ark|Calif|Colo|Conn|Del|Fla|Ga|Ill|Ind|Kan|Ky|Md|Mass|Mich|Minn|Mo|Mont|Neb|Nev
        |Okla|Ore|Pa|Tenn|Tex|Va|Vt|Wash|Wis|Wyo|ca|cf|Ph\.D|M\.Sc|S\.p\.A)\.
    | (?:Lt|Maj|Brig)\.-Gen\.
    """,
    re.VERBOSE | re.IGNORECASE,
)
