"""Drift: the newest texts beside those that the champion was made from, measure by measure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from corpus.backoffice import ProjectFilter, ProjectHistory, may
from inference.selectors import deployment_of
from ner.drift import CONFIDENCES, LENGTHS, NO_ENTITY, Measure
from nerapp.charts import BarsChart, bars_chart
from nerapp.formats import decimal
from retraining.models import DriftReport
from retraining.services.drift import FEWEST_TEXTS

#: name of a measure -> what it is called, what it compares, and what it means when it has drifted.
WORDS: dict[str, tuple[Promise | str, Promise | str, Promise | str]] = {
    "length": (
        gettext_lazy("Length"),
        gettext_lazy("Words and marks per text."),
        gettext_lazy("The texts are longer or shorter than they were: another source, or other cuts?"),
    ),
    "vocabulary": (
        gettext_lazy("Vocabulary"),
        gettext_lazy("Of the usual words of the newest texts, the share that the reference holds."),
        gettext_lazy("The texts speak of other things, or in another language."),
    ),
    "unknown_words": (
        gettext_lazy("Unknown words"),
        gettext_lazy("Of the words of a text, the share that the reference does not hold."),
        gettext_lazy("Names and terms have come up that the model has never seen."),
    ),
    "labels": (
        gettext_lazy("Labels"),
        gettext_lazy("What the model finds: entities by label, and texts without any."),
        gettext_lazy("Other things are found than before: other texts, or entities that are no longer seen."),
    ),
    "confidence": (
        gettext_lazy("Confidence"),
        gettext_lazy("How sure the model is of a text."),
        gettext_lazy(
            "The model is less, or more, sure of these texts than of those that it was judged with."
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class MeasureShown:
    """One measure as its page shows it."""

    measure: Measure
    name: str
    compares: str
    means: str
    value: str
    threshold: str
    kl: str
    chart: BarsChart | None

    @property
    def is_silent(self) -> bool:
        """Were there too few texts to say anything?"""
        return self.measure.value is None


@admin.register(DriftReport)
class DriftReportAdmin(ProjectHistory):
    list_display = ("at", "project", "state", "version", "texts")
    list_filter: ClassVar[Any] = (ProjectFilter,)
    list_select_related = ("project", "version", "reference")
    change_form_template = "admin/retraining/drift_page.html"
    fields = ()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        words = _(
            "A report compares the newest texts with those that the champion was made from. It takes "
            "%(count)d texts that the champion has answered, and is made by itself within minutes."
        ) % {"count": FEWEST_TEXTS}
        return super().changelist_view(request, {"empty_words": words, **(extra_context or {})})

    @admin.display(description=gettext_lazy("measured"), ordering="created_at")
    def at(self, report: DriftReport) -> Any:
        return report.created_at

    @admin.display(description=gettext_lazy("state"), ordering="drifted")
    def state(self, report: DriftReport) -> SafeString:
        if report.drifted:
            return format_html('<span class="state warn">{}</span>', names_of(report.drifted))
        return format_html('<span class="state good">{}</span>', _("no drift"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        report = self.get_object(request, object_id)
        if report is not None:
            champion = deployment_of(report.project)
            extra_context = {
                **(extra_context or {}),
                "title": _("Drift of {project}").format(project=report.project),
                "subtitle": None,
                "report": report,
                "measures": measures_shown(report),
                "drifted": names_of(report.drifted),
                "is_present": champion is not None and champion.version_id == report.version_id,
                "newer": newer_than(report),
                "may_start": may(
                    request,
                    project=report.project,
                    codename="retraining.queue_trainingrun",
                    permission="train",
                ),
            }
        return super().change_view(request, object_id, form_url, extra_context)


def names_of(measures: Sequence[str]) -> str:
    """Measures as people call them."""
    return ", ".join(str(WORDS[name][0]) for name in measures)


def newer_than(report: DriftReport) -> DriftReport | None:
    """The project's newest report, where it is not this one."""
    newest = DriftReport.objects.filter(project=report.project_id).first()
    return newest if newest is not None and newest.pk != report.pk else None


def measures_shown(report: DriftReport) -> list[MeasureShown]:
    """Every measure with its words, its numbers, and its histogram where it has one."""
    return [_shown(measure, report) for measure in report.measured]


def _shown(measure: Measure, report: DriftReport) -> MeasureShown:
    name, compares, means = map(str, WORDS[measure.name])
    is_share = measure.kl is None
    return MeasureShown(
        measure=measure,
        name=name,
        compares=compares,
        means=means,
        value="–" if measure.value is None else _number(measure.value, is_share),
        threshold=_number(measure.threshold, measure.name in {"vocabulary", "unknown_words"}),
        kl="–" if measure.kl is None else decimal(measure.kl, 2),
        chart=_chart(measure, name, report) if measure.kl is not None else None,
    )


def _number(value: float, is_share: bool) -> str:
    return f"{decimal(100 * value)} %" if is_share else decimal(value, 2)


def _chart(measure: Measure, name: str, report: DriftReport) -> BarsChart:
    profile, today = report.reference.counts, report.histograms
    if measure.name == "labels":
        kinds = sorted(
            {*profile.labels, *today["labels"]},
            key=lambda kind: (kind == NO_ENTITY, -profile.labels.get(kind, 0), kind),
        )
        names = [_("none") if kind == NO_ENTITY else kind for kind in kinds]
        pair = [[counts.get(kind, 0) for kind in kinds] for counts in (profile.labels, today["labels"])]
    elif measure.name == "length":
        names = ["0", *(_between(low, high - 1) for low, high in pairwise(LENGTHS)), f"{LENGTHS[-1]}+"]
        pair = [profile.length, today["length"]]
    else:
        ends = [decimal(100 * edge, 1).removesuffix("0").rstrip(".,") for edge in CONFIDENCES]
        names = [f"< {ends[0]} %", *(f"{low}–{high} %" for low, high in pairwise(ends)), f"> {ends[-1]} %"]
        pair = [profile.confidence, today["confidence"]]
    shares = [[round(100 * count / max(sum(counts), 1)) for count in counts] for counts in pair]
    groups = list(zip(names, zip(*shares, strict=True), strict=True))
    used = [place for place, (_name, values) in enumerate(groups) if any(values)] or [0]
    return bars_chart(
        title=_("Per cent of the entities") if measure.name == "labels" else _("Per cent of the texts"),
        names=[("champion", _("reference")), ("candidate", _("newest texts"))],
        groups=groups[min(used) : max(used) + 1],
        along=name,
    )


def _between(low: int, high: int) -> str:
    return str(low) if low == high else f"{low}–{high}"
