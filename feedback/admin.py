"""What humans said about predictions. All of it is history and only read."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from audit.selectors import events_of
from corpus.backoffice import ProjectFilter, ProjectHistory
from feedback.models import Correction, GoldItem, Opinion, Rating, SpanDecision

Decision = SpanDecision.Decision


@admin.register(Correction)
class CorrectionAdmin(ProjectHistory):
    list_display = ("named", "project", "by", "stratum", "accepted", "changed", "took", "created_at")
    list_filter: ClassVar[Any] = (ProjectFilter, "stratum")
    list_select_related = ("project", "author", "api_key")
    search_fields = ("author__username", "document__external_id", "idempotency_key__exact")
    search_help_text = _("Who, or the document's external id")
    date_hierarchy = "created_at"
    change_form_template = "admin/feedback/correction_page.html"
    fields = (
        "project",
        "document",
        "number",
        "by",
        "stratum",
        "took",
        "label_set",
        "idempotency_key",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        kept = Q(decisions__decision=Decision.ACCEPT)
        return (
            super()
            .get_queryset(request)
            .defer("document__text")
            .annotate(
                accepted_count=Count("decisions", filter=kept), changed_count=Count("decisions", filter=~kept)
            )
        )

    @admin.display(description=_("correction"), ordering="number")
    def named(self, correction: Correction) -> str:
        return f"{str(correction.document_id)[:8]} #{correction.number}"

    @admin.display(description=_("by"))
    def by(self, correction: Correction) -> str:
        return f"key {correction.by}" if correction.api_key is not None else correction.by

    @admin.display(description=_("accepted"), ordering="accepted_count")
    def accepted(self, correction: Correction) -> int:
        return int(correction.accepted_count)  # type: ignore[attr-defined]

    @admin.display(description=_("changed"), ordering="changed_count")
    def changed(self, correction: Correction) -> int:
        return int(correction.changed_count)  # type: ignore[attr-defined]

    @admin.display(description=_("took"), ordering="milliseconds")
    def took(self, correction: Correction) -> str:
        return f"{correction.milliseconds / 1000:.1f} s"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        correction = self.get_object(request, object_id)
        if correction is not None:
            extra_context = {
                **(extra_context or {}),
                "text": correction.document.text,
                "hues": {label.name: label.hue for label in correction.label_set.labels.all()},
                "decisions": _shown(correction),
                "events": events_of(correction),
                "prediction": correction.prediction,
            }
        return super().change_view(request, object_id, form_url, extra_context)


@admin.register(Opinion)
class OpinionAdmin(ProjectHistory):
    list_display = ("document", "number", "project", "author", "created_at")
    list_filter: ClassVar[Any] = (ProjectFilter,)
    list_select_related = ("project", "author", "document")
    search_fields = ("author__username", "document__external_id")
    search_help_text = _("Who, or the document's external id")
    fields = (
        "project",
        "document",
        "author",
        "number",
        "decisions",
        "milliseconds",
        "label_set",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("document__text")


@admin.register(GoldItem)
class GoldItemAdmin(ProjectHistory):
    list_display = ("document", "project", "correction", "declared_by", "created_at")
    list_filter: ClassVar[Any] = (ProjectFilter,)
    list_select_related = ("project", "declared_by", "document", "correction")
    fields = ("project", "document", "correction", "declared_by", "created_at")

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).defer("document__text")


@admin.register(Rating)
class RatingAdmin(ProjectHistory):
    project_path = "prediction__project"
    list_display = ("score", "comment", "by", "prediction", "created_at")
    list_filter: ClassVar[Any] = ("score",)
    list_select_related = ("prediction__version", "author", "api_key")
    fields = ("score", "comment", "by", "prediction", "created_at")

    @admin.display(description=_("by"))
    def by(self, rating: Rating) -> str:
        return str(rating.author or rating.api_key)


def _shown(correction: Correction) -> list[dict[str, Any]]:
    """Each decision with the words it was about."""
    text = correction.document.text
    return [
        {
            "decision": decision,
            "state": {Decision.ACCEPT: "good", Decision.REJECT: "bad"}.get(
                Decision(decision.decision), "warn"
            ),
            "before": text[decision.predicted_start : decision.predicted_end]
            if decision.predicted_start is not None
            else "",
            "after": text[decision.start : decision.end] if decision.start is not None else "",
        }
        for decision in correction.decisions.order_by("pk")
    ]
