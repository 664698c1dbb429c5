"""Where a version comes from and what became of it: back to each correction, forward to its answers.

Nothing here reads a table to its end: answers are counted among the newest `COUNTED` of the version, which an
index has in that order, and corrections by one query for each way to count them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Left, TruncDate
from django.utils import timezone
from django.utils.translation import gettext as _

from corpus.models import Project
from feedback.models import Correction, SpanDecision
from inference.models import ModelVersion, Prediction
from retraining.models import RetrainDecision, TrainingRun, TrainingSet, TrainingSetItem

#: So many answers are counted, the newest; a page says where there are more.
COUNTED = 10_000
#: So many days, authors, ancestors, heirs and answers are told one by one.
TOLD = 20
#: In the place of a slot: the caller asked for this version by its name.
NAMED = "named"
#: So much of a text is shown in a list; one character more tells that there is more.
EXCERPT = 120

Tally = Sequence[tuple[str, int]]
_CHANGED = [one for one in SpanDecision.Decision if one != SpanDecision.Decision.ACCEPT]


@dataclass(frozen=True, slots=True)
class Step:
    """A version in a line of parents and children, and the run that made it where there is one."""

    version: ModelVersion
    run: TrainingRun | None

    @property
    def verdict(self) -> str:
        """What the gate said, in a word or two."""
        if self.run is None or self.run.verdict is None:
            return _("not judged by a gate")
        return _("passed the gate") if self.run.verdict["passed"] else _("refused by the gate")


@dataclass(frozen=True, slots=True)
class Lessons:
    """The corrections that a version was made with, counted; `lessons_of` lists them."""

    training_set: TrainingSet
    splits: Tally
    strata: Tally
    authors: Tally
    """Who answers for most of them."""

    days: Sequence[tuple[date, int]]
    """When they were made, the newest days first."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(count for _split, count in self.splits)

    @property
    def by_others(self) -> int:
        """How many are by authors that are not named."""
        return self.total - sum(count for _name, count in self.authors)

    @property
    def earlier(self) -> int:
        """How many were made on earlier days than those named."""
        return self.total - sum(count for _day, count in self.days)


@dataclass(frozen=True, slots=True)
class Answers:
    """What a version answered: of its newest `COUNTED` answers anywhere, those that may be seen."""

    count: int
    is_cut: bool
    """There are older ones, which are not counted."""

    days: Sequence[tuple[date, int]]
    slots: Tally
    reviewed: int
    """How many of them people have looked at."""

    changed: int
    """How many of those people did not leave as they were."""

    newest: Sequence[Prediction]


@dataclass(frozen=True, slots=True)
class Lineage:
    """A version's past, back to the corrections and the first model, and what it answered and became."""

    version: ModelVersion
    run: TrainingRun | None
    decision: RetrainDecision | None
    """Why its training was queued, where a policy did."""

    lessons: Lessons | None
    ancestors: Sequence[Step]
    """Its parent first; the last one is the model that all of it began with."""

    ancestors_left_out: int
    """How many between the last two of `ancestors` are not told."""

    answers: Answers
    children: Sequence[Step]
    """What was trained on top of it, newest first."""

    @property
    def because(self) -> str:
        """Why its training was queued: what the policy saw, or what a person said."""
        if self.run is None:
            return ""
        return self.decision.explanation if self.decision is not None else self.run.reason


def lineage_of(*, version: ModelVersion, projects: QuerySet[Project]) -> Lineage:
    """A version's lineage, as far as somebody sees it who sees these projects and this version."""
    runs = TrainingRun.objects.select_related("training_set__base_corpus", "start_from", "requested_by")
    run = runs.filter(candidate=version).first()
    ancestors, left_out = _ancestors(version)
    children = _steps().filter(Q(project__in=projects) | Q(project=None), parent=version)
    return Lineage(
        version=version,
        run=run,
        decision=run.decisions.first() if run is not None else None,
        lessons=_lessons(run.training_set) if run is not None else None,
        ancestors=ancestors,
        ancestors_left_out=left_out,
        answers=_answers(version, projects),
        children=[_step(child) for child in children[:TOLD]],
    )


def lessons_of(training_set: TrainingSet) -> QuerySet[TrainingSetItem]:
    """The corrections of a training set with their split, and the beginning of each text as `head`."""
    items = training_set.items.select_related(
        "correction__document", "correction__author", "correction__api_key"
    )
    shown = items.defer("correction__spans", "correction__document__text")
    return shown.annotate(head=Left("correction__document__text", EXCERPT + 1))


def answers_of(version: ModelVersion) -> QuerySet[Prediction]:
    """What a version answered anywhere, newest first, as an index has them."""
    return Prediction.objects.filter(version=version).order_by("-created_at")


def _lessons(training_set: TrainingSet) -> Lessons:
    items, counts = training_set.items.order_by(), training_set.counts
    who = ("correction__author__username", "correction__api_key__name", "correction__source")
    authors = items.values_list(*who).annotate(count=Count("pk")).order_by("-count", *who)
    strata = items.values_list("correction__stratum").annotate(count=Count("pk"))
    by_day = items.annotate(day=TruncDate("correction__created_at")).values_list("day")
    return Lessons(
        training_set=training_set,
        splits=[
            (split.value, counts[split.value]) for split in TrainingSetItem.Split if counts.get(split.value)
        ],
        strata=list(strata.order_by("-count")),
        authors=[(person or key or source, count) for person, key, source, count in authors[:TOLD]],
        days=list(by_day.annotate(count=Count("pk")).order_by("-day")[:TOLD]),
    )


def _ancestors(version: ModelVersion) -> tuple[list[Step], int]:
    """The line of parents by two queries, however long it is: of a long one the middle is left out."""
    family = ModelVersion.objects.filter(Q(project=version.project_id) | Q(project=None))
    parents = dict(family.exclude(parent=None).values_list("pk", "parent_id"))
    line: list[int] = []
    parent = version.parent_id
    while parent is not None and parent not in line:
        line.append(parent)
        parent = parents.get(parent)
    told = line if len(line) <= TOLD else [*line[: TOLD - 1], line[-1]]
    found = _steps().in_bulk(told)
    return [_step(found[pk]) for pk in told], len(line) - len(told)


def _steps() -> QuerySet[ModelVersion]:
    return ModelVersion.objects.select_related("training_run").defer("card", "metrics")


def _step(version: ModelVersion) -> Step:
    return Step(version, getattr(version, "training_run", None))


def _answers(version: ModelVersion, projects: QuerySet[Project]) -> Answers:
    newest = answers_of(version)
    rows = list(newest.values_list("pk", "created_at", "slot", "project_id")[: COUNTED + 1])
    # A condition on the project would read past all the answers that others got from a bundled version.
    visible = {version.project_id} if version.project_id else set(projects.values_list("pk", flat=True))
    seen = [row for row in rows[:COUNTED] if row[3] in visible]
    days = Counter(timezone.localtime(at).date() for _pk, at, _slot, _project in seen)
    slots = Counter(slot for _pk, _at, slot, _project in seen)
    corrected = Correction.objects.filter(prediction__in=newest.values("pk")[:COUNTED], project__in=visible)
    people = corrected.aggregate(
        reviewed=Count("prediction", distinct=True),
        changed=Count("prediction", distinct=True, filter=Q(decisions__decision__in=_CHANGED)),
    )
    told = Prediction.objects.filter(pk__in=[row[0] for row in seen[:TOLD]])
    return Answers(
        count=len(seen),
        is_cut=len(rows) > COUNTED,
        days=sorted(days.items(), reverse=True),
        slots=[(slot or NAMED, count) for slot, count in slots.most_common()],
        reviewed=people["reviewed"],
        changed=people["changed"],
        newest=list(
            told.select_related("document", "project")
            .defer("text", "spans", "document__text")
            .annotate(head=Left("text", EXCERPT + 1), document_head=Left("document__text", EXCERPT + 1))
        ),
    )
