"""What people's decisions say about labels, versions and confidence: the contents of a project's Insights.

Everything is made from the daily summaries (feedback) by two queries, whatever the number of corrections;
the strings and boundary moves come from the newest corrections, which an index bounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from feedback.models import SpanDecision
from feedback.selectors import Scope, decisions_counted
from feedback.selectors.edits import EditedSurface, Moves, boundary_moves, surfaces_edited
from inference.models import ModelVersion
from ner.intervals import Share

#: Beyond so many days a chart over time goes by weeks.
DAYS_SHOWN = 31

Kind = SpanDecision.Decision
Row = Mapping[str, Any]
#: Decisions about a span of the machine, and those that left a span of a human.
_MACHINE = frozenset({Kind.ACCEPT, Kind.REJECT, Kind.RELABEL, Kind.RESIZE})
_HUMAN = frozenset({Kind.ACCEPT, Kind.RELABEL, Kind.RESIZE, Kind.ADD})


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label: how many spans the machine and people gave it, and what became of the machine's."""

    name: str
    machine: int
    human: int
    kept: Share
    rejected: int
    relabelled: int
    moved: int
    added: int
    seconds: float | None
    timed: int

    @property
    def edited(self) -> Share:
        """The edit rate: what people changed of the machine's spans of this label."""
        return Share(self.kept.whole - self.kept.part, self.kept.whole)


@dataclass(frozen=True, slots=True)
class Cell:
    """How many of one predicted label's spans people gave one label."""

    label: str
    spans: int
    share: float
    is_right: bool

    @property
    def shade(self) -> int:
        """The share in ten steps, for the cell's ground."""
        return min(int(10 * self.share), 9)


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """What people made of one predicted label's spans; an empty name: of spans that it had missed."""

    name: str
    spans: int
    cells: Sequence[Cell]


@dataclass(frozen=True, slots=True)
class Confusion:
    """The machine's label, below, against people's, to the right. The column without a name: no entity."""

    columns: Sequence[str]
    rows: Sequence[ConfusionRow]


@dataclass(frozen=True, slots=True)
class Tenth:
    """The machine's spans of similar confidence, and how many of them people left as they were."""

    confidence: float
    right: Share


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far confidence is from the share that is right: the mean over all spans, and by tenths."""

    ece: float
    tenths: Sequence[Tenth]
    spans: int


@dataclass(frozen=True, slots=True)
class VersionRow:
    """A model version, and the share of its spans that people changed."""

    name: str
    edited: Share


@dataclass(frozen=True, slots=True)
class Stretch:
    """A day or week: how many spans the machine and people had, and the edit rate."""

    starts: date
    machine: int
    human: int
    edited: Share


@dataclass(frozen=True, slots=True)
class Insights:
    """All that the page shows."""

    labels: Sequence[LabelRow]
    confusion: Confusion
    reliability: Reliability | None
    versions: Sequence[VersionRow]
    stretches: Sequence[Stretch]
    by_week: bool
    surfaces: Sequence[EditedSurface]
    moves: Moves
    machine: int
    human: int


def insights_of(*, scope: Scope, names: Sequence[str]) -> Insights:
    """What people decided in a scope; `names` are the labels in the order people see them."""
    rows = decisions_counted(scope=scope, by=("version_id", "decision", "predicted_label", "label", "tenth"))
    # What people marked in texts that no machine had read is no mistake of a machine.
    judged = [row for row in rows if row["version_id"] is not None]
    days = decisions_counted(scope=scope, by=("day", "decision"))
    by_week = len({row["day"] for row in days}) > DAYS_SHOWN
    return Insights(
        labels=label_rows(rows, names),
        confusion=confusion_of(judged, names),
        reliability=reliability_of(judged),
        versions=_versions(judged),
        stretches=_stretches(days, by_week=by_week),
        by_week=by_week,
        surfaces=surfaces_edited(scope=scope),
        moves=boundary_moves(scope=scope),
        machine=_sum(rows, _MACHINE),
        human=_sum(rows, _HUMAN),
    )


def label_rows(rows: Iterable[Row], names: Sequence[str]) -> list[LabelRow]:
    """The statistics of each label that was used, in the order of `names`, retired labels after them."""
    machine: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    human: dict[str, int] = defaultdict(int)
    added: dict[str, int] = defaultdict(int)
    times: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        kind, spans = row["decision"], row["spans"]
        if kind in _MACHINE:
            machine[row["predicted_label"]][kind] += spans
        if kind in _HUMAN:
            human[row["label"]] += spans
        if kind == Kind.ADD:
            added[row["label"]] += spans
        time = times[row["predicted_label"] or row["label"]]
        time[0] += row["milliseconds"]
        time[1] += row["timed"]
    return [
        LabelRow(
            name=name,
            machine=sum(machine[name].values()),
            human=human[name],
            kept=Share(machine[name][Kind.ACCEPT], sum(machine[name].values())),
            rejected=machine[name][Kind.REJECT],
            relabelled=machine[name][Kind.RELABEL],
            moved=machine[name][Kind.RESIZE],
            added=added[name],
            seconds=times[name][0] / times[name][1] / 1000 if times[name][1] else None,
            timed=times[name][1],
        )
        for name in _ordered({*machine, *human}, names)
    ]


def confusion_of(rows: Iterable[Row], names: Sequence[str]) -> Confusion:
    """Predicted labels against people's: what was rejected became nothing, what was added had been missed."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for row in rows:
        counts[row["predicted_label"], row["label"]] += row["spans"]
    columns = [*_ordered({label for _, label in counts if label}, names), ""]
    table = []
    for predicted in [*_ordered({label for label, _ in counts if label}, names), ""]:
        total = sum(counts[predicted, label] for label in columns)
        if not total:
            continue
        cells = [
            Cell(
                label=label,
                spans=counts[predicted, label],
                share=counts[predicted, label] / total,
                is_right=bool(label) and label == predicted,
            )
            for label in columns
        ]
        table.append(ConfusionRow(name=predicted, spans=total, cells=cells))
    return Confusion(columns=columns, rows=table)


def reliability_of(rows: Iterable[Row]) -> Reliability | None:
    """Confidence against the share of spans that people left exactly as they were; None without any."""
    spans, sure, right = [0] * 10, [0.0] * 10, [0] * 10
    for row in rows:
        tenth = row["tenth"]
        if tenth is None:
            continue
        spans[tenth] += row["spans"]
        sure[tenth] += row["confidence"]
        right[tenth] += row["spans"] if row["decision"] == Kind.ACCEPT else 0
    total = sum(spans)
    if not total:
        return None
    return Reliability(
        ece=sum(abs(sure[tenth] - right[tenth]) for tenth in range(10)) / total,
        tenths=[
            Tenth(confidence=sure[tenth] / spans[tenth], right=Share(right[tenth], spans[tenth]))
            for tenth in range(10)
            if spans[tenth]
        ],
        spans=total,
    )


def _versions(rows: Sequence[Row]) -> list[VersionRow]:
    counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row["decision"] in _MACHINE:
            counts[row["version_id"]][0] += row["spans"] if row["decision"] != Kind.ACCEPT else 0
            counts[row["version_id"]][1] += row["spans"]
    versions = (
        ModelVersion.objects.filter(pk__in=counts).defer("card", "metrics").order_by("created_at", "pk")
    )
    return [VersionRow(name=str(version), edited=Share(*counts[version.pk])) for version in versions]


def _stretches(rows: Iterable[Row], *, by_week: bool) -> list[Stretch]:
    found: dict[date, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        day = row["day"]
        starts = day - timedelta(days=day.weekday()) if by_week else day
        found[starts][row["decision"]] += row["spans"]
    stretches = []
    for starts in sorted(found):
        kinds = found[starts]
        machine = sum(kinds[kind] for kind in _MACHINE)
        stretches.append(
            Stretch(
                starts=starts,
                machine=machine,
                human=sum(kinds[kind] for kind in _HUMAN),
                edited=Share(machine - kinds[Kind.ACCEPT], machine),
            )
        )
    return stretches


def _sum(rows: Iterable[Row], kinds: frozenset[Kind]) -> int:
    return sum(row["spans"] for row in rows if row["decision"] in kinds)


def _ordered(found: set[str], names: Sequence[str]) -> list[str]:
    known = [name for name in names if name in found]
    return known + sorted(found - set(known))
