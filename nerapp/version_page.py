"""What the page of a model version tells: where it serves, how good it is, against what, and from where."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db.models import QuerySet
from django.utils.dateformat import format as date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from corpus.models import Project
from feedback.models import QualityEstimate
from feedback.selectors import quality_by_label, quality_trend
from inference.engine import recogniser_for
from inference.models import Deployment, Evaluation, ModelVersion
from ner.bootstrap import paired_bootstrap
from ner.evaluate import ErrorClass, ErrorExample, EvalReport, Scores, evaluate
from ner.spans import Span, compare_spans
from nerapp.charts import (
    CalibrationChart,
    Estimate,
    LineChart,
    RowsChart,
    calibration_chart,
    line_chart,
    rows_chart,
)
from retraining.models import TrainingRun, TrainingSet
from retraining.services.exams import Exam, exam_in_general, exam_of_gold, exam_of_project

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: So many wrong entities of each kind are shown with their text.
EXAMPLES = 25
#: A page is no batch job: larger exams are cut to this many texts, and say so.
EXAM_LIMIT = 1500
ERROR_WORDS: dict[ErrorClass, StrPromise] = {
    "missed": gettext_lazy("missed"),
    "spurious": gettext_lazy("nothing there"),
    "boundary": gettext_lazy("wrong boundary"),
    "type": gettext_lazy("wrong label"),
}
ALL_LABELS, NOTHING = gettext_lazy("all labels"), gettext_lazy("nothing")


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label's scores, beside the champion's F1 on the same texts."""

    name: str
    scores: Scores
    estimate: Estimate
    before: Estimate | None

    @property
    def change(self) -> float | None:
        """How F1 differs from the champion's."""
        return None if self.before is None else self.estimate.value - self.before.value


@dataclass(frozen=True, slots=True)
class ExamResult:
    """One exam of a version, beside the champion's on the same texts where there is one."""

    evaluation: Evaluation
    report: EvalReport
    against: ModelVersion | None
    rows: list[LabelRow]
    chart: RowsChart
    calibration: CalibrationChart | None

    @property
    def total(self) -> LabelRow:
        """All labels together."""
        return self.rows[0]

    @property
    def errors(self) -> list[tuple[str, int]]:
        """How many there are of each kind, in words."""
        return [(str(ERROR_WORDS[kind]), count) for kind, count in self.report.errors.items()]


@dataclass(frozen=True, slots=True)
class Place:
    """A project where a version may serve: what its champion is now and what can be done about it."""

    project: Project
    champion: Deployment | None
    is_champion: bool
    can_promote: bool
    obstacle: str = ""

    @property
    def generation(self) -> int:
        """What a form must send back, so that it changes only what it showed."""
        return self.champion.generation if self.champion is not None else 0


@dataclass(frozen=True, slots=True)
class LiveQuality:
    """What reviews of random texts say of a version's answers in a project, now and day by day."""

    project: Project
    labels: list[QualityEstimate]
    chart: LineChart | None

    @property
    def total(self) -> QualityEstimate:
        """All labels together."""
        return self.labels[0]


@dataclass(frozen=True, slots=True)
class ErrorsPage:
    """Where a version goes wrong on an exam, with the texts."""

    report: EvalReport
    examples: dict[str, list[ErrorExample]]
    """By the kind of error, in words."""

    columns: list[str]
    confusion: list[tuple[str, list[tuple[str, int, int]]]] = field(default_factory=list)
    texts: int = 0
    is_cut: bool = False


def run_of(version: ModelVersion) -> TrainingRun | None:
    """The run that made a version; bundled and blank ones have none."""
    return TrainingRun.objects.filter(candidate=version).select_related("training_set", "start_from").first()


def deployments_of(version: ModelVersion, projects: QuerySet[Project]) -> QuerySet[Deployment]:
    """The slots that point at a version, in the projects a person may see."""
    return version.deployments.filter(project__in=projects).select_related("project", "previous")


def places_of(version: ModelVersion, projects: QuerySet[Project], run: TrainingRun | None) -> list[Place]:
    """Where the version could serve, and what stands in the way."""
    mine = projects.filter(pk=version.project_id) if version.project_id else projects
    champions = {
        deployment.project_id: deployment
        for deployment in Deployment.objects.filter(
            project__in=mine, slot=Deployment.Slot.CHAMPION
        ).select_related("version", "previous")
    }
    places = []
    for project in mine.order_by("name"):
        champion = champions.get(project.pk)
        is_champion = champion is not None and champion.version_id == version.pk
        obstacle = "" if is_champion else _obstacle(version, run, champion)
        places.append(
            Place(
                project=project,
                champion=champion,
                is_champion=is_champion,
                can_promote=not is_champion and not obstacle,
                obstacle=obstacle,
            )
        )
    return places


def _obstacle(version: ModelVersion, run: TrainingRun | None, champion: Deployment | None) -> str:
    """Why promoting would be refused, in a sentence; the use case refuses it by itself, too."""
    if run is None:
        return ""
    if run.verdict is None:
        return "Its training run has not ended yet, so no gate has judged it."
    if not run.verdict["passed"]:
        return "The gate refused it, so it cannot be promoted. The reasons are above."
    if champion is not None and champion.version_id != run.start_from_id:
        if champion.previous_id == version.pk:
            return "It served before the present champion: roll back to it."
        return (
            f"It was judged against {run.start_from}, and {champion.version} is champion now. "
            "Retrain to judge against that one."
        )
    return ""


def exams_of(version: ModelVersion, run: TrainingRun | None) -> list[ExamResult]:
    """The newest exam of each kind, the project's own first."""
    order = list(Evaluation.Kind)
    newest: dict[str, Evaluation] = {}
    for evaluation in version.evaluations.order_by("created_at"):
        newest[evaluation.kind] = evaluation
    against = run.start_from if run is not None else version.parent
    return [
        _result(evaluation, against)
        for evaluation in sorted(newest.values(), key=lambda one: order.index(Evaluation.Kind(one.kind)))
    ]


def live_quality_of(version: ModelVersion, projects: QuerySet[Project]) -> list[LiveQuality]:
    """How good the version's answers are to the callers of each project that reviewed any."""
    reviewed = projects.filter(quality_estimates__version=version).distinct().order_by("name")
    return [
        LiveQuality(
            project=project,
            labels=quality_by_label(project, version),
            chart=_trend_chart(quality_trend(project, version)),
        )
        for project in reviewed
    ]


def _trend_chart(trend: Sequence[QualityEstimate]) -> LineChart | None:
    if len(trend) < 2:
        return None
    return line_chart(
        title=_("F1 of live answers day by day, with 95 % intervals"),
        points=[(date_format(one.day, "j M"), 100 * one.f1, 100 * one.low, 100 * one.high) for one in trend],
        from_zero=False,
    )


def _result(evaluation: Evaluation, against: ModelVersion | None) -> ExamResult:
    report = EvalReport.from_json(evaluation.report)
    other = (
        Evaluation.objects.filter(version=against, set_fingerprint=evaluation.set_fingerprint).first()
        if against is not None
        else None
    )
    before = EvalReport.from_json(other.report) if other is not None else None
    rows = [
        LabelRow(
            name=name or str(ALL_LABELS),
            scores=report.labels[name] if name else report.micro,
            estimate=estimate_of(report, name),
            before=estimate_of(before, name) if before is not None else None,
        )
        for name in ["", *sorted(report.labels, key=lambda name: -report.labels[name].support)]
    ]
    names = [("candidate" if before is not None else "champion", str(evaluation.version))]
    if before is not None:
        names.insert(0, ("champion", str(against)))
    chart = rows_chart(
        title=_("F1 by label with 95 % intervals"),
        names=names,
        rows=[
            (
                row.name,
                _("{count} true entities").format(count=row.scores.support),
                [row.before, row.estimate] if before is not None else [row.estimate],
            )
            for row in rows
        ],
    )
    calibration = report.calibration
    return ExamResult(
        evaluation=evaluation,
        report=report,
        against=against if before is not None else None,
        rows=rows,
        chart=chart,
        calibration=calibration_chart(
            series="champion" if before is None else "candidate",
            ece=calibration.ece,
            bins=[(one.count, one.confidence, one.accuracy) for one in calibration.bins],
        )
        if calibration is not None
        else None,
    )


def estimate_of(report: EvalReport, label: str) -> Estimate:
    """F1 of a label, or of all for an empty one, with its interval over documents."""
    counts: Sequence[tuple[int, int, int]]
    if label:
        counts = [document.get(label, (0, 0, 0)) for document in report.documents]
        value = report.labels[label].f1 if label in report.labels else 0.0
    else:
        counts, value = report.per_document, report.micro.f1
    if not counts:
        return Estimate(value)
    # Against a model that finds nothing, the difference in F1 is F1.
    spread = paired_bootstrap([(0, 0, 0)] * len(counts), counts, resamples=1000)
    return Estimate(value, spread.low, spread.high)


def exam_for(version: ModelVersion, *, kind: str, run: TrainingRun | None) -> Exam | None:
    """The texts to look for errors in: the project's frozen test split, or the general sentences."""
    if kind == Evaluation.Kind.GENERAL:
        return exam_in_general()
    if kind == Evaluation.Kind.GOLDEN:
        return exam_of_gold(project=version.project) if version.project is not None else None
    training_set = run.training_set if run is not None else None
    if training_set is None and version.project_id:
        training_set = TrainingSet.objects.filter(project=version.project_id).first()
    return (
        exam_of_project(training_set=training_set, most=EXAM_LIMIT + 1) if training_set is not None else None
    )


def errors_of(version: ModelVersion, exam: Exam) -> ErrorsPage:
    """Let a version read an exam now, and sort what it gets wrong.

    The texts are read when somebody looks, and not kept in the certificate: so an erased text is gone
    from here, too.
    """
    gold = exam.examples[:EXAM_LIMIT]
    found = recogniser_for(version).predict_many([example.text for example in gold])
    predicted = [[span for span in one.spans if span.label in exam.labels] for one in found]
    report = evaluate(gold, predicted, examples_per_class=EXAMPLES)
    examples: dict[str, list[ErrorExample]] = {}
    for wrong in report.examples:
        examples.setdefault(str(ERROR_WORDS[wrong.kind]), []).append(wrong)
    pairs: Counter[tuple[str, str]] = Counter()
    for example, spans in zip(gold, predicted, strict=True):
        pairs.update(
            (label_of(change.corrected), label_of(change.predicted))
            for change in compare_spans(set(spans), set(example.spans))
        )
    return ErrorsPage(
        report=report,
        examples=examples,
        columns=[*sorted(exam.labels), str(NOTHING)],
        confusion=_confusion(pairs, [*sorted(exam.labels), str(NOTHING)]),
        texts=len(gold),
        is_cut=len(exam.examples) > len(gold),
    )


def label_of(span: Span | None) -> str:
    """The label of a span that may be missing."""
    return span.label if span is not None else str(NOTHING)


def _confusion(
    pairs: Counter[tuple[str, str]], labels: Sequence[str]
) -> list[tuple[str, list[tuple[str, int, int]]]]:
    """Rows of (true label, [(predicted label, count, shade 0 to 9)]); the shade is the share of the row."""
    table = []
    for true in labels:
        counts = [pairs[true, label] for label in labels]
        total = sum(counts)
        if total:
            cells = [
                (label, count, min(int(10 * count / total), 9) if count else 0)
                for label, count in zip(labels, counts, strict=True)
            ]
            table.append((true, cells))
    return table


def measured(version: ModelVersion) -> dict[str, Any]:
    """What the bundle says of its own training data: the test scores it was published with."""
    test = version.metrics.get("test")
    return test if isinstance(test, dict) and "micro" in test else {}
