"""Which part of a corpus a text belongs to, decided by the text alone.

60 % train, 20 % dev, 20 % test by SHA-256: the same text falls into the same part in every run, in
every order and on every machine, so a duplicate can never stand on both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Literal

from ner.spans import Example

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")
_TRAIN, _DEV = 60, 80


def split_of(text: str) -> Split:
    """The part this text belongs to; white space and case do not count."""
    key = " ".join(text.split()).lower().encode("utf-8", "surrogatepass")
    place = int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % 100
    return "train" if place < _TRAIN else "dev" if place < _DEV else "test"


def deduplicated(examples: Iterable[Example]) -> Iterator[Example]:
    """Each text once, the first time it occurs; empty texts never."""
    seen: set[str] = set()
    for example in examples:
        key = " ".join(example.text.split())
        if key and key not in seen:
            seen.add(key)
            yield example


def take_split(examples: Iterable[Example], split: Split | None) -> Iterator[Example]:
    """The examples of one part without duplicates; all of them, as they are, for ``None``."""
    if split is None:
        yield from examples
        return
    for example in deduplicated(examples):
        if split_of(example.text) == split:
            yield example
