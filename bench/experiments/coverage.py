"""How often the interval of the live F1 holds the true value; it says 95 %."""

from __future__ import annotations

import numpy as np

from bench.experiments.worlds import World
from ner.live_quality import live_f1

F1S = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
DOCUMENTS = (30, 50, 100, 300, 1_000, 2_000)


def covered(world: World, f1: float, documents: int, *, runs: int, seed: int) -> tuple[float, float]:
    """The share of runs whose interval holds the truth, and the mean width of the interval."""
    counts = np.stack(world.answers(f1, (runs, documents), np.random.default_rng(seed)), axis=-1)
    found = [live_f1(run) for run in counts]
    return (
        float(np.mean([one.low <= f1 <= one.high for one in found])),
        float(np.mean([one.high - one.low for one in found])),
    )


def grid(world: World, *, runs: int, seed: int = 1) -> dict[str, dict[str, float]]:
    """Coverage in percent, by F1 and number of documents."""
    return {
        f"F1 {f1}": {
            f"{documents} documents": round(
                100 * covered(world, f1, documents, runs=_enough(runs, documents), seed=seed + documents)[0],
                2,
            )
            for documents in DOCUMENTS
        }
        for f1 in F1S
    }


def _enough(runs: int, documents: int) -> int:
    """Large samples take long, and are where the interval has the least to prove."""
    return max(runs // (2 if documents > 300 else 1), 1)
