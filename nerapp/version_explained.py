"""The pages that explain a version: where it goes wrong, where it comes from, how it differs from another."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.dateformat import format as date_format
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from corpus.backoffice import ProjectHistory
from corpus.models import Project
from corpus.selectors import label_set_current, projects_visible
from feedback.models import Stratum
from inference.errors import ModelLoading
from inference.models import Deployment, Evaluation, ModelVersion
from ner.errors import BundleRefused
from nerapp.charts import BarsChart, bars_chart
from nerapp.comparison_page import (
    RIGHT,
    SHOWN,
    Comparison,
    compare,
    exam_shared,
    pair_chosen,
    versions_offered,
)
from nerapp.version_page import errors_of, exam_for, run_of
from retraining.lineage import COUNTED, NAMED, Answers, Tally, lessons_of, lineage_of
from retraining.models import TrainingSetItem
from retraining.selectors import page_before
from retraining.services.exams import Exam

#: So many corrections are listed on a page.
LISTED = 25
#: So many versions can be chosen from a list, the newest; others by their address.
OFFERED = 200
#: So many days are drawn, the newest.
CHARTED = 60
_COMPARISON = "inference_modelversion_comparison"


class VersionExplained(ProjectHistory):
    """Model versions: a project's own are seen by its people, bundled ones by all."""

    def visible_to(self, projects: QuerySet[Project]) -> Q:
        return Q(project__in=projects) | Q(project=None)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/errors/", wrap(self.errors_view), name="inference_modelversion_errors"),
            path("<int:pk>/lineage/", wrap(self.lineage_view), name="inference_modelversion_lineage"),
            path("comparison/<slug:slug>/", wrap(self.comparison_view), name=_COMPARISON),
            *super().get_urls(),
        ]

    @method_decorator(require_safe)
    def errors_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Where this version goes wrong, with the texts, read now."""
        version = self.version_of(request, pk)
        kind = request.GET.get("set", Evaluation.Kind.TEST)
        exam = exam_for(version, kind=kind, run=run_of(version))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Errors of {version}").format(version=version),
            "opts": self.opts,
            "version": version,
            "kind": kind,
            "exam": exam,
            "errors": errors_of(version, exam) if exam is not None and exam.examples else None,
            "reads_texts": exam is not None and _reads_texts(request, exam),
        }
        return TemplateResponse(request, "admin/inference/errors.html", context)

    @method_decorator(require_safe)
    def lineage_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Where this version comes from, and what became of it."""
        version = self.version_of(request, pk)
        lineage = lineage_of(version=version, projects=projects_visible(request.user))
        reads_corrections = lineage.lessons is not None and request.user.has_perm("feedback.view_correction")
        items: list[TrainingSetItem] = []
        following = None
        if reads_corrections and lineage.lessons is not None:
            lessons = lessons_of(lineage.lessons.training_set)
            items, following = page_before(lessons, before=number_sent(request, "before"), limit=LISTED)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Lineage of {version}").format(version=version),
            "opts": self.opts,
            "version": version,
            "lineage": lineage,
            "splits": _named(lineage.lessons.splits, TrainingSetItem.Split) if lineage.lessons else [],
            "strata": _named(lineage.lessons.strata, Stratum) if lineage.lessons else [],
            "slots": _named(lineage.answers.slots, Deployment.Slot),
            "answers_chart": _answers_chart(lineage.answers),
            "counted": COUNTED,
            "items": items,
            "following": following,
            "is_later_page": "before" in request.GET,
            "reads_corrections": reads_corrections,
            "reads_answers": request.user.has_perm("inference.view_prediction"),
        }
        return TemplateResponse(request, "admin/inference/lineage.html", context)

    @method_decorator(require_safe)
    def comparison_view(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Two versions that a project may use, beside each other."""
        project = get_object_or_404(projects_visible(request.user), slug=slug)
        if not self.has_view_permission(request):
            raise PermissionDenied
        pair = pair_chosen(project, number_sent(request, "first"), number_sent(request, "second"))
        kind = request.GET.get("set", Evaluation.Kind.TEST)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Two versions beside each other"),
            "opts": self.opts,
            "project": project,
            "pair": pair,
            "offered": versions_offered(project)[:OFFERED],
            "kinds_of_set": Evaluation.Kind.choices,
            "kind": kind,
        }
        exam = exam_shared(project, kind, pair) if pair is not None else None
        if pair is not None and exam is not None and exam.examples:
            try:
                comparison = compare(pair, exam)
            except (BundleRefused, ModelLoading) as refused:
                context["problem"] = str(refused)
            else:
                context |= {"comparison": comparison, **_browsed(request, comparison)}
                context["reads_texts"] = _reads_texts(request, exam)
                labels = label_set_current(project=project).labels.all()
                context["hues"] = {label.name: label.hue for label in labels}
        return TemplateResponse(request, "admin/inference/comparison.html", context)

    def version_of(self, request: HttpRequest, pk: int) -> ModelVersion:
        """The version of an address, for who may see it."""
        version: ModelVersion | None = self.get_object(request, str(pk))
        if version is None or not self.has_view_permission(request, version):
            raise PermissionDenied
        return version


def _reads_texts(request: HttpRequest, exam: Exam) -> bool:
    """A project's exams are made of its corrections; the general one is everybody's."""
    return exam.project is None or request.user.has_perm("feedback.view_correction")


def _browsed(request: HttpRequest, comparison: Comparison) -> dict[str, Any]:
    """The disagreements that were asked for, by pages."""
    label, right = request.GET.get("label", ""), request.GET.get("right", "")
    found = [
        one
        for one in comparison.disagreements
        if (not label or label in one.labels) and (right not in RIGHT or one.right == right)
    ]
    pages = Paginator(found, SHOWN)
    return {"label": label, "right": right, "found": pages.get_page(number_sent(request, "page") or 1)}


def number_sent(request: HttpRequest, name: str) -> int | None:
    """A number of the address; None where there is none that a row could have."""
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def _named(tally: Tally, names: Any) -> list[tuple[str, int]]:
    """A tally in the words that people see."""
    labels = {**dict(names.choices), NAMED: _("Asked for by name")}
    return [(str(labels[name]), count) for name, count in tally]


def _answers_chart(answers: Answers) -> BarsChart | None:
    if len(answers.days) < 2:
        return None
    return bars_chart(
        title=str(_("Answers by day")),
        names=[("champion", str(_("answers")))],
        groups=[(date_format(day, "j M"), [count]) for day, count in reversed(answers.days[:CHARTED])],
        height=160,
    )
