"""Made-up reviews whose truth is known: what models answer, and what people change of it, text by text.

Texts differ: how many entities they hold (from none to many), how hard they are. So entities of one text go
wrong together, as they do in real reviews, and what treats entities as independent is found out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Whole: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class World:
    """`mean` entities a text, evenly or not; where `alike` is small, some texts are much harder."""

    name: str
    mean: float
    evenness: float
    alike: float

    def entities(self, size: tuple[int, ...], random: np.random.Generator) -> Whole:
        """How many entities each text holds."""
        return random.poisson(random.gamma(self.evenness, self.mean / self.evenness, size))

    def rates(self, rate: float, size: tuple[int, ...], random: np.random.Generator) -> NDArray[np.float64]:
        """Of what happens to a share of all entities, the share in each text."""
        return random.beta(rate * self.alike, (1 - rate) * self.alike, size)

    def answers(
        self, f1: float, size: tuple[int, ...], random: np.random.Generator
    ) -> tuple[Whole, Whole, Whole]:
        """(tp, fp, fn) of each text under a model whose precision, recall and F1 are `f1`."""
        entities = self.entities(size, random)
        return self.answers_to(entities, self.rates(1 - f1, size, random), f1, random)

    def answers_to(
        self, entities: Whole, hardness: NDArray[np.float64], f1: float, random: np.random.Generator
    ) -> tuple[Whole, Whole, Whole]:
        """(tp, fp, fn) of texts that are given, and as hard as `hardness` says."""
        missed = random.binomial(entities, hardness)
        # Half of what is missed is found in a wrong way (a boundary, a label), which counts on both sides.
        mistaken = random.binomial(missed, 0.5)
        invented = random.poisson(0.5 * self.mean * (1 - f1), entities.shape)
        return entities - missed, mistaken + invented, missed

    def edits(self, rate: float, size: tuple[int, ...], random: np.random.Generator) -> tuple[Whole, Whole]:
        """(edits, spans shown) of each text, where people change a share `rate` of the spans."""
        spans = self.entities(size, random)
        return random.binomial(spans, self.rates(rate, size, random)), spans


USUAL = World("usual", mean=3.0, evenness=1.5, alike=8.0)
SPARSE = World("sparse", mean=1.5, evenness=0.8, alike=4.0)
DENSE = World("dense", mean=6.0, evenness=3.0, alike=20.0)
WORLDS = (USUAL, SPARSE, DENSE)
