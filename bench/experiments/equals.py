"""The gate and two models of equal quality: how often does one pass for the better of the two?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.experiments.worlds import USUAL, World
from ner.evaluate import EvalReport, Scores
from ner.gate import GatePolicy, judge

#: Single labels are not judged here: they could only be one more reason to refuse.
POLICY = GatePolicy(must_be_better=True, min_test_documents=20, min_label_support=10**9)
#: What the documentation says: at most one in twenty.
ALPHA = 0.05


def passed(*, pairs: int, documents: int, f1: float, world: World = USUAL, seed: int = 3) -> float:
    """The share of pairs whose second model passes the gate as better, the two being equally good."""
    random = np.random.default_rng(seed + documents)
    return float(
        np.mean(
            [
                judge(champion=one, candidate=other, policy=POLICY).passed
                for one, other in (_pair(documents, f1, world, random) for _ in range(pairs))
            ]
        )
    )


def _pair(
    documents: int, f1: float, world: World, random: np.random.Generator
) -> tuple[EvalReport, EvalReport]:
    """Two models on the same texts, hard for the one where hard for the other."""
    entities = world.entities((documents,), random)
    hardness = world.rates(1 - f1, (documents,), random)
    one, other = (
        _report(np.stack(world.answers_to(entities, hardness, f1, random), axis=1)) for _ in range(2)
    )
    return one, other


def _report(counts: NDArray[np.int64]) -> EvalReport:
    total = Scores(*counts.sum(axis=0).tolist())
    return EvalReport(
        micro=total,
        labels={"per": total},
        errors={},
        calibration=None,
        documents=tuple({"per": (tp, fp, fn)} for tp, fp, fn in counts.tolist()),
    )
