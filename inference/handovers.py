"""What was measured of two versions in turn: from which uncertainty on the first hands a text to the second.

Read from exams that both sat, once per pair and process; the upkeep looks whether a newer exam was sat.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings

from corpus.models import Project
from inference.engine import Serving
from inference.models import Evaluation, ModelVersion
from inference.selectors import exams_shared
from ner.cascade import FEWEST_TEXTS, Handover, handover
from ner.errors import BadInput
from ner.evaluate import EvalReport


@dataclass(frozen=True, slots=True)
class Measured:
    """A handover and the exam it was measured in; or why none is known."""

    handover: Handover | None = None
    on: str = ""
    why_not: str = ""
    exams: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Cascade:
    """A fast version that answers first, and a better one that answers what the first is unsure of."""

    first: Serving
    second: Serving
    handover: Handover
    on: str


class Handovers:
    """What is known of pairs of versions, by project. Safe for many threads: an entry is replaced whole."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int], Measured] = {}
        self._pairs: dict[tuple[int, int, int], tuple[Project, ModelVersion, ModelVersion]] = {}

    def between(self, *, project: Project, first: ModelVersion, second: ModelVersion) -> Measured:
        """What was measured of a pair. Asks the database at the first time only."""
        key = (project.pk, first.pk, second.pk)
        known = self._known.get(key)
        if known is None:
            self._pairs[key] = project, first, second
            known = self._known[key] = _measured(project, first, second, Measured())
        return known

    def refresh(self) -> None:
        """Look whether the pairs that were asked about have sat a newer exam."""
        for key, pair in list(self._pairs.items()):
            self._known[key] = _measured(*pair, self._known.get(key, Measured()))

    def forget(self) -> None:
        """Start anew."""
        self._known.clear()
        self._pairs.clear()


def _measured(project: Project, first: ModelVersion, second: ModelVersion, known: Measured) -> Measured:
    exams = exams_shared(project=project, first=first, second=second)
    if exams is None:
        return Measured(why_not=f"{first} and {second} have sat no exam together yet")
    if (ids := tuple(exam.pk for exam in exams)) == known.exams:
        return known
    on = "the project's test texts" if exams[0].kind == Evaluation.Kind.TEST else "the general texts"
    if exams[0].documents < FEWEST_TEXTS:
        few = f"{on} are too few to tell by: {exams[0].documents}, where {FEWEST_TEXTS} are needed"
        return Measured(why_not=few, exams=ids)
    try:
        found = handover(*map(_report, exams), margin=settings.CASCADE_MARGIN)
    except BadInput:  # a text was erased between the two sittings
        return Measured(why_not=f"{first} and {second} sat an exam on different texts", exams=ids)
    return Measured(handover=found, on=on, exams=ids)


def _report(exam: Evaluation) -> EvalReport:
    return EvalReport.from_json(exam.report)


handovers = Handovers()
