"""When a fast recogniser should hand a text on to a better one: measured on texts that both answered.

Both sat the same exam, and the fast one's uncertainty was kept for each text. From "every text goes on" the
threshold is raised for as long as the two together stay within a margin of the better one's F1; where it
stops, the fewest texts go on that the margin allows.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from ner.evaluate import EvalReport, Scores
from ner.gate import require_same_texts

#: Fewer texts than this say little about a threshold: one wrong entity would move it.
FEWEST_TEXTS = 50


@dataclass(frozen=True, slots=True)
class Handover:
    """Where a fast recogniser hands on, and what that was measured to give."""

    threshold: float
    """A text of at least this uncertainty goes on."""

    share: float
    """Of the texts of the exam, so many went on."""

    f1: float
    """Of the two together, on the texts that the threshold was chosen on."""

    first_f1: float
    second_f1: float
    texts: int


def handover(first: EvalReport, second: EvalReport, *, margin: float) -> Handover:
    """The highest threshold up to which the two never fall short of the second's F1 by more than `margin`.

    `first` holds the uncertainty of each text. Raises ReportsDiffer for exams on different texts.
    """
    require_same_texts(first, second)
    ours, theirs = first.per_document, second.per_document
    together = _sum(theirs)
    least = Scores(*together).f1 - margin
    chosen, threshold, kept = Scores(*together), 0.0, 0
    by_uncertainty = sorted(range(len(ours)), key=lambda place: first.uncertainties[place])
    groups = [list(group) for _, group in groupby(by_uncertainty, key=first.uncertainties.__getitem__)]
    for group, following in zip(groups, [*groups[1:], None], strict=True):
        for place in group:
            together = [
                total + mine - other
                for total, mine, other in zip(together, ours[place], theirs[place], strict=True)
            ]
        if Scores(*together).f1 < least:
            break
        # In the middle between the two: as far from either as it can be.
        above = first.uncertainties[following[0]] if following else 1.0
        threshold = (first.uncertainties[group[0]] + above) / 2
        chosen, kept = Scores(*together), kept + len(group)
    return Handover(
        threshold=threshold,
        share=(len(ours) - kept) / max(len(ours), 1),
        f1=chosen.f1,
        first_f1=first.micro.f1,
        second_f1=second.micro.f1,
        texts=len(ours),
    )


def _sum(documents: tuple[tuple[int, int, int], ...]) -> list[int]:
    return [sum(triple[i] for triple in documents) for i in range(3)]
