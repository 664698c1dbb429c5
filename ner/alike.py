"""Which texts are nearly the same: MinHash over word shingles, in bands, then an exact comparison.

Broder 1997, "On the resemblance and containment of documents"; the bands as in Leskovec, Rajaraman and
Ullman, "Mining of Massive Datasets", chapter 3. With 8 bands of 4 rows two texts that share 80 % of their
shingles meet in a band with probability 0.985, two that share 30 % with 0.06; the comparison decides.
"""

from __future__ import annotations

import re
from collections.abc import Set
from hashlib import blake2b

import numpy as np

BANDS = 8
ROWS = 4
#: Words in a shingle.
SHINGLE = 3
#: Texts that share so much of their shingles are nearly the same.
SAME = 0.8
#: Longer texts are compared by their beginnings.
COMPARED_CHARACTERS = 20_000
_WORD = re.compile(r"\w+")
_PERMUTATIONS = np.random.default_rng(1997).integers(1, 2**63, size=(BANDS * ROWS, 2), dtype=np.uint64)


def shingles(text: str) -> frozenset[str]:
    """Each run of three words, whatever their case and what stands between them; all words of less."""
    words = _WORD.findall(text[:COMPARED_CHARACTERS].casefold())
    if len(words) <= SHINGLE:
        return frozenset([" ".join(words)] if words else [])
    return frozenset(" ".join(words[at : at + SHINGLE]) for at in range(len(words) - SHINGLE + 1))


def bands_of(runs: Set[str], *, key: bytes) -> list[int]:
    """Numbers of 64 bits, one a band; none for a text without words.

    The key keeps them from being checked against guessed texts.
    """
    if not runs:
        return []
    digests = b"".join(blake2b(run.encode(), digest_size=8, key=key).digest() for run in runs)
    hashes = np.frombuffer(digests, dtype=np.uint64)
    # Multiply and add modulo 2^64, odd factors: the least value of each is as good as a random shingle.
    factors, terms = _PERMUTATIONS[:, :1] | np.uint64(1), _PERMUTATIONS[:, 1:]
    least = (factors * hashes + terms).min(axis=1).reshape(BANDS, ROWS)
    return [
        int.from_bytes(blake2b(bytes([band]) + row.tobytes(), digest_size=8).digest(), "big", signed=True)
        for band, row in enumerate(least)
    ]


def resemblance(one: Set[str], other: Set[str]) -> float:
    """The share of all shingles that two texts have in common (Jaccard), 0 to 1."""
    both = len(one & other)
    return both / (len(one) + len(other) - both) if both else 0.0
