"""How each person of a team works: speed, edits, and how far others and the truth agree with them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.db.models import Count, F, IntegerField, Max, Sum
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone

from corpus.models import Project
from feedback.models import Correction, GoldItem, Opinion, SpanDecision
from labeling.models import Assignment
from labeling.selectors.names import members_of, names_shown
from labeling.selectors.team import assignments_waiting
from ner.agreement import Measure
from ner.evaluate import Scores
from ner.spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterable

#: What a page of the team is about.
DAYS = 30
#: So many of the newest comparisons with the truth are counted.
COMPARED = 1_000
_KEPT = "accept"
_OF_MACHINE = ("accept", "reject", "relabel", "resize")


@dataclass(slots=True)
class Tally:
    """What a person did in the last DAYS days, added up."""

    documents: int = 0
    milliseconds: int = 0
    decisions: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    last_active: datetime | None = None

    @property
    def per_hour(self) -> float | None:
        """Documents in an hour of work."""
        return self.documents * 3_600_000 / self.milliseconds if self.milliseconds else None

    @property
    def seconds_per_decision(self) -> float | None:
        """How long one span takes."""
        spans = sum(self.decisions.values())
        return self.milliseconds / 1000 / spans if spans and self.milliseconds else None

    @property
    def edit_rate(self) -> float | None:
        """Share of the machine's spans that were not left as they were."""
        seen = sum(self.decisions[name] for name in _OF_MACHINE)
        return 1 - self.decisions[_KEPT] / seen if seen else None


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person of the team."""

    user_id: int
    name: str
    role: str
    role_name: str
    is_me: bool
    work: Tally
    waiting: int
    others: float | None
    decided: Scores | None
    gold: Scores | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One opinion beside what is true of its text."""

    user_id: int
    at: datetime | None
    said: tuple[Span, ...]
    truth: tuple[Span, ...]


def people_rows(*, project: Project, viewer: User, pairs: Iterable[Any] = ()) -> list[PersonRow]:
    """The whole team. `pairs` are those of the agreement, for how far others agree with each."""
    work = work_of(project=project)
    waiting = assignments_waiting(project=project)
    names = names_shown(project=project, viewer=viewer)
    decided, gold = compared(project=project), compared(project=project, gold=True)
    with_others = _with_others(pairs)
    return [
        PersonRow(
            user_id=member.user_id,
            name=names[member.user_id],
            role=member.role,
            role_name=member.get_role_display(),
            is_me=member.user_id == viewer.pk,
            work=work.get(member.user_id, Tally()),
            waiting=waiting.get(member.user_id, 0),
            others=with_others.get(member.user_id),
            decided=scores_of([one for one in decided if one.user_id == member.user_id]),
            gold=scores_of([one for one in gold if one.user_id == member.user_id]),
        )
        for member in members_of(project=project)
    ]


def work_of(*, project: Project) -> dict[int, Tally]:
    """What each person did in the last DAYS days: corrections and opinions alike."""
    since = timezone.now() - timedelta(days=DAYS)
    found: dict[int, Tally] = defaultdict(Tally)
    corrections = Correction.objects.filter(project=project, created_at__gte=since, author__isnull=False)
    # What annotators agreed on stands under the last one's name too: their opinion is counted already.
    corrections = corrections.exclude(idempotency_key__startswith="consensus-")
    opinions = Opinion.objects.filter(project=project, created_at__gte=since)
    for rows in (corrections, opinions):
        sums = rows.values("author_id").annotate(
            count=Count("pk"), spent=Coalesce(Sum("milliseconds"), 0), last=Max("created_at")
        )
        for row in sums.order_by():
            tally = found[row["author_id"]]
            tally.documents += row["count"]
            tally.milliseconds += row["spent"]
            tally.last_active = max(filter(None, (tally.last_active, row["last"])))
    decided = SpanDecision.objects.filter(correction__in=corrections).values_list(
        F("correction__author_id"), "decision"
    )
    for author_id, decision, count in decided.annotate(count=Count("pk")).order_by():
        found[author_id].decisions[decision] += count
    names = (*_OF_MACHINE, "add")
    spoken = {
        f"sum_{name}": Coalesce(Sum(Cast(KeyTextTransform(name, "decisions"), IntegerField())), 0)
        for name in names
    }
    for author_id, *counts in opinions.values_list("author_id").annotate(**spoken).order_by():
        for name, count in zip(names, counts, strict=True):
            found[author_id].decisions[name] += count
    return dict(found)


def compared(*, project: Project, gold: bool = False, user: User | None = None) -> list[Compared]:
    """The newest opinions beside what was decided of their texts, or beside the gold items."""
    done = Assignment.objects.filter(
        project=project, opinion__isnull=False, is_gold=gold, task__document__redacted_at=None
    )
    if user is not None:
        done = done.filter(user=user)
    if gold:
        return _compared_with_gold(project, done)
    rows = (
        done.filter(task__correction__isnull=False)
        .order_by("-closed_at")
        .values_list("user_id", "closed_at", "opinion__spans", "task__correction__spans")[:COMPARED]
    )
    return [_compared(*row) for row in rows]


def scores_of(rows: Iterable[Compared]) -> Scores | None:
    """Precision, recall and F1 of what was said against what is true; None of nothing."""
    right = said = true = 0
    for row in rows:
        right += len(set(row.said) & set(row.truth))
        said += len(row.said)
        true += len(row.truth)
    return Scores(right, said - right, true - right) if said or true else None


def scores_by_label(rows: Iterable[Compared]) -> dict[str, Scores]:
    """The same for each label."""
    rows = list(rows)
    labels = sorted({span.label for row in rows for span in (*row.said, *row.truth)})
    found = {}
    for label in labels:
        only = [
            Compared(
                row.user_id,
                row.at,
                tuple(span for span in row.said if span.label == label),
                tuple(span for span in row.truth if span.label == label),
            )
            for row in rows
        ]
        scores = scores_of(only)
        if scores is not None:
            found[label] = scores
    return found


def _compared_with_gold(project: Project, done: Any) -> list[Compared]:
    closed = done.order_by("-closed_at")
    rows = list(closed.values_list("user_id", "closed_at", "opinion__spans", "task__document_id")[:COMPARED])
    truths = dict(
        GoldItem.objects.filter(project=project, document__in={row[3] for row in rows}).values_list(
            "document_id", "correction__spans"
        )
    )
    return [_compared(who, at, said, truths[of]) for who, at, said, of in rows if of in truths]


def _compared(user_id: int, at: datetime | None, said: list[Any], truth: list[Any]) -> Compared:
    return Compared(
        user_id, at, tuple(map(Span.from_json, said)), tuple(Span.from_json(span) for span in truth)
    )


def _with_others(pairs: Iterable[Any]) -> dict[int, float]:
    """The mean strict F1 of each person with the others, by documents in common."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for pair in pairs:
        strict: Measure = pair.strict
        if strict.value is None:
            continue
        for name in (pair.first, pair.second):
            total = sums[int(name)]
            total[0] += strict.value * pair.documents
            total[1] += pair.documents
    return {person: total[0] / total[1] for person, total in sums.items()}
