"""How a word becomes numbers, for training and serving alike: NumPy and the standard library only.

Each token is a row of integers: the word's id, its case class, one hash bucket for each part named
in ``FeatureSettings.hashed``, and last the row of its pretrained vector. Hashed prefixes, suffixes
and shapes are how characters enter the model: they cost a table look-up instead of a convolution.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ner.config import FeatureSettings
from ner.errors import BadConfig

CASES = 8
PADDING = 0
# An unknown word is known at least by its case: its id is 1 + the case class.
FIRST_WORD = 1 + CASES
NO_VECTOR = 0
_CACHED_WORDS = 32_768
_LONGEST_CACHED = 64


def case_class(word: str) -> int:
    """0 lower, 1 Title, 2 UPPER, 3 Upper initial, 4 mixed, 5 number, 6 with digits, 7 other."""
    if word.isalpha():
        if word.islower():
            return 0
        if word.isupper():
            return 2 if len(word) > 1 else 3
        if word[0].isupper():
            return 1 if word[1:].islower() else 4
        return 4
    letters = any(map(str.isalpha, word))
    if any(map(str.isdigit, word)):
        return 6 if letters else 5
    if letters:
        return 3 if word[0].isupper() else (0 if word.islower() else 4)
    return 7


def shape(word: str) -> str:
    """``McDonald-7`` -> ``XxXxx-d``: letters by case, digits, runs cut to two."""
    out: list[str] = []
    for char in word[:_LONGEST_CACHED]:
        if char.isupper():
            sign = "X"
        elif char.isalpha():
            sign = "x"
        elif char.isdigit():
            sign = "d"
        else:
            sign = char
        if out[-2:] != [sign, sign]:
            out.append(sign)
    return "".join(out)


PARTS: Mapping[str, Callable[[str], str]] = {
    "prefix2": lambda word: word[:2].lower(),
    "prefix3": lambda word: word[:3].lower(),
    "prefix4": lambda word: word[:4].lower(),
    "suffix2": lambda word: word[-2:].lower(),
    "suffix3": lambda word: word[-3:].lower(),
    "suffix4": lambda word: word[-4:].lower(),
    "shape": shape,
}


def word_key(word: str, settings: FeatureSettings) -> str:
    """The form under which a word stands in the vocabulary."""
    if not settings.lowercase:
        return word
    lowered = word.lower()
    if lowered.isalpha():
        return lowered
    return "".join("0" if char.isdigit() else char for char in lowered)


class FeatureEncoder:
    """Turns words into feature rows; thread-safe, and it remembers the words it has seen."""

    def __init__(
        self, settings: FeatureSettings, words: Sequence[str], vector_words: Sequence[str] = ()
    ) -> None:
        unknown = [part for part in settings.hashed if part not in PARTS]
        if unknown:
            raise BadConfig(name="hashed", problem=f"{unknown[0]!r} is not a part of a word")
        self.settings = settings
        self.words = tuple(words)
        self._ids = {word: FIRST_WORD + place for place, word in enumerate(words)}
        self._rows = {word: 1 + place for place, word in enumerate(vector_words)}
        self._parts = [(name.encode(), PARTS[name]) for name in settings.hashed]
        self._remembered = lru_cache(maxsize=_CACHED_WORDS)(self._row)

    @property
    def columns(self) -> int:
        """Width of a feature row."""
        return 3 + len(self._parts)

    def encode(self, words: Sequence[str]) -> NDArray[np.int32]:
        """The feature rows of some words, ``[words, columns]``."""
        rows = [self._remembered(word) if len(word) <= _LONGEST_CACHED else self._row(word) for word in words]
        return np.frombuffer(bytearray().join(rows), dtype=np.int32).reshape(len(rows), self.columns)

    def knows(self, word: str) -> bool:
        """Whether the word has a row of its own in the vocabulary."""
        return word_key(word, self.settings) in self._ids

    def _row(self, word: str) -> bytes:
        # Bytes, because many rows are joined into an array far faster than numbers are.
        case = case_class(word)
        identity = self._ids.get(word_key(word, self.settings), 1 + case)
        # Bucket 0 is left to padding; lone surrogates are legal in a Python string.
        hashed = [
            1
            + zlib.crc32(part(word).encode("utf-8", "surrogatepass"), len(name) * 31 + name[0])
            % (self.settings.buckets - 1)
            for name, part in self._parts
        ]
        return np.array((identity, case, *hashed, self._vector_row(word)), dtype=np.int32).tobytes()

    def _vector_row(self, word: str) -> int:
        if not self._rows:
            return NO_VECTOR
        lowered = word.lower()
        row = self._rows.get(lowered)
        if row is None:
            row = self._rows.get(lowered.rstrip("."), NO_VECTOR)
        return row


class VectorTable:
    """Pretrained vectors as bytes: a row of int8 times its own scale; row 0 is no vector.

    The table may be memory-mapped: a look-up touches only the pages of the words it needs.
    """

    def __init__(self, rows: NDArray[np.int8], scales: NDArray[np.float32]) -> None:
        self.rows = rows
        self.scales = scales

    @property
    def width(self) -> int:
        """Numbers in a vector."""
        return int(self.rows.shape[1])

    def look_up(self, places: NDArray[np.int32]) -> NDArray[np.float32]:
        """Vectors of the given rows, with the shape of ``places`` plus one axis."""
        found: NDArray[np.float32] = self.rows[places].astype(np.float32)
        found *= self.scales[places][..., None]
        return found
