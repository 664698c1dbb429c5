"""How unlike all others a text is: mean word vectors and a cover that grows with the stream.

A text's place is the mean of its words' vectors, frequent words counting less (the weights of Arora, Liang
and Ma 2017, "A simple but tough-to-beat baseline for sentence embeddings"; a word's frequency is guessed from
its rank by Zipf's law). Words without a vector get a direction of their own from their hash, so that other
languages and names count too. The cover is the doubling algorithm of Charikar, Chekuri, Feder and Motwani
1997, "Incremental clustering and dynamic information retrieval": at most 256 centres, however many texts.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ner.features import VectorTable

Vector = NDArray[np.float32]

WIDTH = 100
CENTRES = 256
#: Longer texts are placed by their beginnings.
PLACED_CHARACTERS = 20_000
_WORD = re.compile(r"\w+")
_SMOOTHING = 1e-3
_ZIPF = 12.5  # the harmonic number of 150,000 ranks
_RARE = 1.0  # the weight of a word that no list knows


class Placer:
    """Puts texts on the unit sphere by the vectors of a bundle, or by hashes alone without one."""

    def __init__(self, table: VectorTable | None = None, ranks: Mapping[str, int] | None = None) -> None:
        self.table = table
        self.ranks = ranks or {}

    @classmethod
    def of_bundle(cls, path: Path) -> Placer:
        """The placer of a bundle's `vectors.npy`, `scales.npy` and `vectors.txt`; these lie in rank order."""
        words = path / "vectors.txt"
        if not words.exists():
            return cls()
        rows = np.load(path / "vectors.npy", mmap_mode="r", allow_pickle=False)
        scales = np.load(path / "scales.npy", allow_pickle=False)
        ranks = {word: rank for rank, word in enumerate(words.read_text().split("\n"), start=1)}
        return cls(VectorTable(rows, scales), ranks)

    def place(self, text: str) -> Vector:
        """The text's direction; all zeros for a text without words."""
        words = _WORD.findall(text[:PLACED_CHARACTERS].lower())
        total: Vector = np.zeros(WIDTH, dtype=np.float32)
        known = [rank for word in words if (rank := self.ranks.get(word))]
        if known and self.table is not None:
            ranks = np.array(known, dtype=np.int32)
            weights = _SMOOTHING / (_SMOOTHING + 1 / (_ZIPF * ranks.astype(np.float32)))
            vectors = self.table.look_up(ranks)
            norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
            total += (weights[:, None] * vectors / norms).sum(axis=0)
        for word in words:
            if word not in self.ranks:
                total += _RARE * _direction(word)
        length = float(np.linalg.norm(total))
        return total / length if length else total


class Cover:
    """At most so many centres, and a radius within which every text seen so far has one."""

    def __init__(self, radius: float = 0.0, centres: Vector | None = None) -> None:
        self.radius = radius
        self.centres = np.zeros((0, WIDTH), dtype=np.float32) if centres is None else centres

    @classmethod
    def from_bytes(cls, radius: float, data: bytes) -> Cover:
        """A cover as `to_bytes` wrote it."""
        return cls(radius, np.frombuffer(data, dtype="<f4").reshape(-1, WIDTH).astype(np.float32))

    def to_bytes(self) -> bytes:
        """The centres, to be stored beside the radius."""
        return self.centres.astype("<f4").tobytes()

    def add(self, place: Vector) -> float:
        """How far the text is from all before it, 0 (there was such a text) to 1; it counts from now on."""
        novelty = self._distance(place)
        if novelty > self.radius:
            self.centres = np.vstack([self.centres, place[None]])
            while len(self.centres) > CENTRES:
                self._coarsen()
        return novelty

    def _distance(self, place: Vector) -> float:
        if not len(self.centres):
            return 1.0
        nearest = float(np.max(self.centres @ place))
        # Half the chord: opposite directions are 1 apart.
        return min(float(np.sqrt(max(2 - 2 * nearest, 0.0))) / 2, 1.0)

    def _coarsen(self) -> None:
        """Double the radius and keep only centres that are further apart than it."""
        self.radius = max(2 * self.radius, 0.02)
        kept = Cover(self.radius)
        for centre in self.centres:
            if kept._distance(centre) > self.radius:
                kept.centres = np.vstack([kept.centres, centre[None]])
        self.centres = kept.centres


@lru_cache(maxsize=20_000)
def _direction(word: str) -> Vector:
    random = np.random.default_rng(zlib.crc32(word.encode()))
    drawn = random.standard_normal(WIDTH).astype(np.float32)
    return drawn / np.float32(np.linalg.norm(drawn))
