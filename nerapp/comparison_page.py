"""Two versions beside each other on the same texts: who is better, at what, and where they disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from corpus.models import Project
from inference.models import Evaluation, ModelVersion
from inference.selectors import deployment_of, versions_visible
from ner.bootstrap import Difference, paired_bootstrap
from ner.evaluate import ERROR_CLASSES, ErrorClass, EvalReport, error_class, evaluate
from ner.spans import Example, Span, SpanChange, compare_spans
from nerapp.charts import CalibrationChart, Estimate, RowsChart, calibration_chart, rows_chart
from nerapp.formats import decimal
from nerapp.readings import read
from nerapp.version_page import ALL_LABELS, ERROR_WORDS, EXAM_LIMIT, estimate_of, label_of
from retraining.models import TrainingSet
from retraining.services.exams import Exam, exam_in_general, exam_of_gold, exam_of_project

#: So many texts are shown on a page.
SHOWN = 10
#: A text longer than `LONG` is shown around what is in dispute, with so much on either side.
LONG, AROUND = 600, 120
#: The chart stands beside the table.
CHART_WIDTH = 440
#: The colours of the two, as charts have them.
SERIES = ("champion", "candidate")
FIRST, SECOND, NEITHER = "first", "second", "neither"
RIGHT = (FIRST, SECOND, NEITHER)

Pair = tuple[ModelVersion, ModelVersion]
#: What turns the true spans of a text into those of the first, and into those of the second.
Changes = Sequence[Sequence[SpanChange]]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two."""

    version: ModelVersion
    report: EvalReport
    p95_ms: float | None
    calibration: CalibrationChart | None


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label's F1 under both, and the difference."""

    name: str
    support: int
    first: Estimate
    second: Estimate
    difference: Difference

    @property
    def is_clear(self) -> bool:
        """Is the difference more than chance?"""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True, slots=True)
class KindRow:
    """How often one kind of error is made by one of the two alone, and by both in the same place."""

    kind: ErrorClass
    first: int
    second: int
    both: int

    @property
    def words(self) -> str:
        """The kind, as people read it."""
        return str(ERROR_WORDS[self.kind])


@dataclass(frozen=True, slots=True)
class ConfusionRow:
    """How often each of the two said one label of what is another, or the same."""

    true: str
    said: str
    first: int
    second: int

    @property
    def difference(self) -> int:
        """How much more often the second does."""
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A text in which the two say different things, and what is true."""

    document: str
    text: str
    is_cut: bool
    truth: Sequence[Mapping[str, Any]]
    first: Sequence[Mapping[str, Any]]
    second: Sequence[Mapping[str, Any]]
    first_wrong: int
    second_wrong: int
    labels: frozenset[str]
    """Of the spans that only one of them found."""

    @property
    def right(self) -> str:
        """Who is entirely right in it: one of `RIGHT`."""
        if not self.first_wrong:
            return FIRST
        return NEITHER if self.second_wrong else SECOND


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that the page of two versions shows."""

    first: Side
    second: Side
    documents: int
    is_examined: bool
    """The scores are those of the exam that both sat; else they were read just now."""

    texts: int
    """So many were read just now, for the errors and the disagreements."""

    is_cut: bool
    rows: list[LabelRow]
    chart: RowsChart
    kinds: list[KindRow]
    confusion: list[ConfusionRow]
    """What the two do not do equally often, the most different first."""

    disagreements: list[Disagreement]

    @property
    def sentence(self) -> str:
        """Who is better, in words."""
        total = self.rows[0].difference
        names = {
            "first": self.first.version,
            "second": self.second.version,
            "difference": decimal(100 * abs(total.value)),
            "low": decimal(100 * min(abs(total.low), abs(total.high))),
            "high": decimal(100 * max(abs(total.low), abs(total.high))),
        }
        if total.low > 0:
            words = _("{second} is better than {first} by {difference} points of F1 ({low} to {high}).")
        elif total.high < 0:
            words = _("{first} is better than {second} by {difference} points of F1 ({low} to {high}).")
        else:
            words = _("These texts do not show that one of them is better: what differs may be chance.")
        return words.format(**names)

    @property
    def labels(self) -> list[str]:
        """The labels that the two disagree about."""
        return sorted(set().union(*(one.labels for one in self.disagreements)))

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both, in their order."""
        return self.first, self.second

    @property
    def rights(self) -> list[tuple[str, str, int]]:
        """Who may be right in a disagreement, in words, and how often that is so."""
        counts = Counter(one.right for one in self.disagreements)
        names = (str(self.first.version), str(self.second.version), _("neither is entirely right"))
        return [(right, name, counts[right]) for right, name in zip(RIGHT, names, strict=True)]


def versions_offered(project: Project) -> QuerySet[ModelVersion]:
    """What can be compared in a project, newest first."""
    return versions_visible(project).defer("card", "metrics")


def pair_chosen(project: Project, first: int | None, second: int | None) -> Pair | None:
    """The two that were asked for; without, the champion and the newest of the others."""
    offered = versions_offered(project)
    deployment = deployment_of(project)
    champion = deployment.version if deployment is not None else None
    one, two = (offered.filter(pk=pk).first() if pk is not None else None for pk in (first, second))
    if one is None and champion != two:
        one = champion
    one = one or _newest(offered, project, besides=two)
    two = two or _newest(offered, project, besides=one)
    return (one, two) if one is not None and two is not None and one != two else None


def _newest(
    offered: QuerySet[ModelVersion], project: Project, *, besides: ModelVersion | None
) -> ModelVersion | None:
    """The newest version of the project, else the newest bundled one."""
    others = offered.exclude(pk=besides.pk) if besides is not None else offered
    return others.filter(project=project).first() or others.first()


def exam_shared(project: Project, kind: str, pair: Pair) -> Exam | None:
    """The texts to compare two versions on; of the project's exams the newest that both have sat."""
    if kind == Evaluation.Kind.GENERAL:
        return exam_in_general()
    if kind == Evaluation.Kind.GOLDEN:
        return exam_of_gold(project=project)
    sets = TrainingSet.objects.filter(project=project, counts__test__gt=0).select_related("label_set")
    first, second = (version.evaluations.values("set_fingerprint") for version in pair)
    sat = sets.filter(test_fingerprint__in=first).filter(test_fingerprint__in=second).first()
    training_set = sat or sets.first()
    return (
        exam_of_project(training_set=training_set, most=EXAM_LIMIT + 1) if training_set is not None else None
    )


def compare(pair: Pair, exam: Exam) -> Comparison:
    """Put two versions beside each other on an exam.

    The scores come from the certificates where both sat it. The texts are read now, as on the page of errors:
    an erased one is gone from here, too. Raises BundleRefused or ModelLoading where one cannot be read.
    """
    gold = exam.examples[:EXAM_LIMIT]
    readings = [read(version, exam, gold) for version in pair]
    reports = _certificates(pair, exam)
    is_examined = reports is not None
    if reports is None:
        reports = [evaluate(gold, reading.spans) for reading in readings]
    first, second = (
        Side(version, report, reading.p95_ms, _calibration(report, series))
        for version, report, reading, series in zip(pair, reports, readings, SERIES, strict=True)
    )
    changes = [
        tuple(compare_spans(set(reading.spans[place]), set(example.spans)) for reading in readings)
        for place, example in enumerate(gold)
    ]
    rows = _rows(first.report, second.report)
    return Comparison(
        first=first,
        second=second,
        documents=len(first.report.documents),
        is_examined=is_examined,
        texts=len(gold),
        is_cut=len(exam.examples) > len(gold),
        rows=rows,
        chart=rows_chart(
            title=_("F1 by label with 95 % intervals"),
            names=[(series, str(version)) for series, version in zip(SERIES, pair, strict=True)],
            rows=[
                (row.name, _("{count} true entities").format(count=row.support), [row.first, row.second])
                for row in rows
            ],
            width=CHART_WIDTH,
        ),
        kinds=_kinds(changes),
        confusion=_confusion(changes),
        disagreements=[
            _disagreement(example, readings[0].spans[place], readings[1].spans[place], changes[place])
            for place, example in enumerate(gold)
            if set(readings[0].spans[place]) != set(readings[1].spans[place])
        ],
    )


def _certificates(pair: Pair, exam: Exam) -> list[EvalReport] | None:
    """The reports of both on this exam; None unless both sat it on the same texts."""
    sat = Evaluation.objects.filter(version__in=pair, set_fingerprint=exam.fingerprint)
    found = {one.version_id: EvalReport.from_json(one.report) for one in sat}
    reports = [found[version.pk] for version in pair if version.pk in found]
    # A text that was erased between the two exams is missing from the later one.
    if len(reports) < 2 or len({len(report.documents) for report in reports}) > 1:
        return None
    return reports if reports[0].documents else None


def _calibration(report: EvalReport, series: str) -> CalibrationChart | None:
    found = report.calibration
    if found is None:
        return None
    bins = [(one.count, one.confidence, one.accuracy) for one in found.bins]
    return calibration_chart(series=series, ece=found.ece, bins=bins)


def _rows(first: EvalReport, second: EvalReport) -> list[LabelRow]:
    """All labels together, then each, the most frequent first."""
    support = Counter(
        {
            name: max(report.labels[name].support for report in (first, second) if name in report.labels)
            for name in {*first.labels, *second.labels}
        }
    )
    rows = [_row("", str(ALL_LABELS), first.micro.support, first, second)]
    return rows + [_row(name, name, count, first, second) for name, count in support.most_common()]


def _row(label: str, name: str, support: int, first: EvalReport, second: EvalReport) -> LabelRow:
    def counts(report: EvalReport) -> Sequence[tuple[int, int, int]]:
        if not label:
            return report.per_document
        return [document.get(label, (0, 0, 0)) for document in report.documents]

    return LabelRow(
        name=name,
        support=support,
        first=estimate_of(first, label),
        second=estimate_of(second, label),
        difference=paired_bootstrap(counts(first), counts(second)),
    )


def _kinds(changes: Sequence[Changes]) -> list[KindRow]:
    first, second, both = (Counter[ErrorClass | None]() for _side in range(3))
    for sides in changes:
        mine, theirs = ({change for change in side if error_class(change)} for side in sides)
        first.update(map(error_class, mine - theirs))
        second.update(map(error_class, theirs - mine))
        both.update(map(error_class, mine & theirs))
    return [KindRow(kind, first[kind], second[kind], both[kind]) for kind in ERROR_CLASSES]


def _confusion(changes: Sequence[Changes]) -> list[ConfusionRow]:
    first, second = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for sides in changes:
        for counter, side in zip((first, second), sides, strict=True):
            counter.update((label_of(one.corrected), label_of(one.predicted)) for one in side)
    rows = [ConfusionRow(*pair, first[pair], second[pair]) for pair in {*first, *second}]
    rows.sort(key=lambda row: (-abs(row.difference), row.true, row.said))
    return [row for row in rows if row.difference]


def _disagreement(
    example: Example,
    first: Sequence[Span],
    second: Sequence[Span],
    changes: Changes,
) -> Disagreement:
    first_wrong, second_wrong = (sum(error_class(change) is not None for change in side) for side in changes)
    disputed = set(first) ^ set(second)
    start, end = 0, len(example.text)
    if end > LONG:
        start = max(min(span.start for span in disputed) - AROUND, 0)
        end = min(max(span.end for span in disputed) + AROUND, end)

    def shown(spans: Sequence[Span]) -> list[dict[str, Any]]:
        return [
            {"start": max(span.start, start) - start, "end": min(span.end, end) - start, "label": span.label}
            for span in spans
            if span.start < end and span.end > start
        ]

    return Disagreement(
        document=example.id,
        text=example.text[start:end],
        is_cut=end - start < len(example.text),
        truth=shown(example.spans),
        first=shown(first),
        second=shown(second),
        first_wrong=first_wrong,
        second_wrong=second_wrong,
        labels=frozenset(span.label for span in disputed),
    )
