"""A project's Insights: what people's decisions say about the model, and texts to see it in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from corpus.models import Project
from corpus.selectors import label_set_current, labels_of, project_allows
from feedback.models import SpanDecision, Stratum
from feedback.selectors import Scope, summary_tail, today
from feedback.selectors.edits import WINDOW, decision_examples
from feedback.selectors.summaries import versions_judged
from labeling.insights import insights_of
from labeling.selectors.overview import tasks_of_documents
from labeling.views.access import person_of, project_of

PERIODS = (("7", _("the last 7 days")), ("28", _("the last 28 days")), ("all", _("all days")))
DEFAULT_PERIOD = "28"


@dataclass(frozen=True, slots=True)
class Filters:
    """What the person chose above the page; what is no choice counts as not chosen."""

    period: str
    version: str
    stratum: str
    versions: list[tuple[str, str]]

    @property
    def query(self) -> str:
        """The choices as an address carries them."""
        return urlencode({"period": self.period, "version": self.version, "stratum": self.stratum})

    def scope(self, project: Project) -> Scope:
        """The decisions that are meant."""
        return Scope(
            project,
            since=None if self.period == "all" else today() - timedelta(days=int(self.period) - 1),
            version_id=int(self.version) if self.version else None,
            stratum=self.stratum,
        )


@require_safe
@login_required
def insights(request: HttpRequest, slug: str) -> HttpResponse:
    """Label statistics, confusion, edited strings, calibration and edit rates."""
    found = project_of(request, slug)
    filters = _filters(request, found)
    labels = labels_of(label_set=label_set_current(project=found))
    _start, cut = summary_tail(found)
    context = _context(found, filters) | {
        "insights": insights_of(scope=filters.scope(found), names=[label.name for label in labels]),
        "hues": {label.name: label.hue for label in labels},
        "periods": PERIODS,
        "strata": Stratum.choices,
        "window": WINDOW,
        "counted_to": cut,
        "may_review": project_allows(project=found, user=person_of(request), permission="review"),
    }
    return render(request, "labeling/insights.html", context)


@require_safe
@login_required
def examples(request: HttpRequest, slug: str) -> HttpResponse:
    """Texts behind a number of Insights."""
    found = project_of(request, slug)
    filters = _filters(request, found)
    asked = {name: request.GET.get(name) for name in ("predicted", "label", "decision", "surface")}
    if any("\x00" in (value or "") for value in asked.values()):
        # No text holds one, and the database takes none.
        raise Http404
    shown = decision_examples(
        scope=filters.scope(found),
        predicted_label=asked["predicted"],
        label=asked["label"],
        decision=asked["decision"] or "",
        surface=asked["surface"] or "",
    )
    may_review = project_allows(project=found, user=person_of(request), permission="review")
    tasks = tasks_of_documents(document_ids=[row.document_id for row in shown]) if may_review else {}
    labels = labels_of(label_set=label_set_current(project=found))
    context = _context(found, filters) | {
        "examples": [(row, tasks.get(row.document_id)) for row in shown],
        "asked": asked,
        "decision": dict(SpanDecision.Decision.choices).get(asked["decision"] or "", ""),
        "hues": {label.name: label.hue for label in labels},
        "window": WINDOW,
    }
    return render(request, "labeling/insights_examples.html", context)


def _context(project: Project, filters: Filters) -> dict[str, Any]:
    return {"project": project, "tab": "insights", "filters": filters}


def _filters(request: HttpRequest, project: Project) -> Filters:
    versions = [(str(version.pk), str(version)) for version in versions_judged(project=project)]

    def chosen(name: str, choices: list[str], default: str) -> str:
        asked = request.GET.get(name, "")
        return asked if asked in choices else default

    return Filters(
        period=chosen("period", [value for value, _title in PERIODS], DEFAULT_PERIOD),
        version=chosen("version", [value for value, _title in versions], ""),
        stratum=chosen("stratum", list(Stratum.values), ""),
        versions=versions,
    )
