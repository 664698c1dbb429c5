"""Deliveries in the back office: each try is seen, and what has ended is sent again."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from audit.services import Actor
from corpus.backoffice import ProjectHistory, may, refusals_told, require
from webhooks.advice import advice
from webhooks.models import Attempt, Delivery, Webhook
from webhooks.services import delivery_resend
from webhooks.services.deliveries import body_of
from webhooks.webhook_admin import STATES, changing, page_of, told_by

Status = Delivery.Status


@admin.register(Delivery)
class DeliveryAdmin(ProjectHistory):
    project_path = "webhook__project"
    list_display = ("told", "webhook", "state", "attempts", "last_outcome", "occurred_at", "due")
    list_filter: ClassVar[Any] = (
        "status",
        "kind",
        ("webhook", admin.RelatedOnlyFieldListFilter),
    )
    list_select_related = ("webhook__project",)
    search_fields = ("event__exact", "id__exact")
    search_help_text = _("The id of a delivery, or an event such as audit:17")
    date_hierarchy = "created_at"
    change_form_template = "admin/webhooks/delivery_page.html"
    fields = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        last = Attempt.objects.filter(delivery=OuterRef("pk")).order_by("-number")
        queryset: QuerySet[Delivery] = super().get_queryset(request)
        return queryset.select_related("webhook__project").annotate(
            last=Subquery(last.values("outcome")[:1]),
            last_status=Subquery(last.values("http_status")[:1]),
        )

    def get_urls(self) -> list[URLPattern]:
        resend = self.admin_site.admin_view(self.resend_view)
        return [
            path("<uuid:pk>/resend/", resend, name="webhooks_delivery_resend"),
            *super().get_urls(),
        ]

    @admin.display(description=_("event"), ordering="kind")
    def told(self, delivery: Delivery) -> str:
        return told_by(delivery)

    @admin.display(description=_("state"), ordering="status")
    def state(self, delivery: Delivery) -> SafeString:
        return format_html(
            '<span class="state {}">{}</span>', STATES[delivery.status], delivery.get_status_display()
        )

    @admin.display(description=_("last try"))
    def last_outcome(self, delivery: Delivery) -> str:
        outcome, status = getattr(delivery, "last", None), getattr(delivery, "last_status", None)
        if outcome is None:
            return "–"
        label = str(Attempt.Outcome(outcome).label)
        return f"{label} ({status})" if status else label

    @admin.display(description=_("next try"))
    def due(self, delivery: Delivery) -> Any:
        return delivery.due_at if delivery.status == Status.WAITING else None

    @method_decorator(require_POST)
    def resend_view(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Try one that has ended again."""
        delivery = self.get_object(request, str(pk))
        if delivery is None:
            raise PermissionDenied
        require(
            request,
            project=delivery.webhook.project,
            codename=changing(delivery.webhook),
            permission="manage",
        )
        with refusals_told(request):
            delivery_resend(delivery=delivery, actor=Actor.of_user(request.user))
            messages.success(request, _("It is sent again, and tried for another day."))
        return redirect("admin:webhooks_delivery_change", delivery.pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        delivery = self.get_object(request, object_id)
        if delivery is not None:
            extra_context = {
                **(extra_context or {}),
                "title": told_by(delivery),
                "subtitle": None,
                "delivery": delivery,
                "state": STATES[delivery.status],
                "tries": (tries := list(delivery.tries.order_by("-number"))),
                "advice": advice(tries[0], form=delivery.webhook.form) if tries else "",
                "listener": page_of(delivery.webhook),
                "message": _readable(delivery),
                "id_name": "Message-ID" if delivery.webhook.form == Webhook.Form.MAIL else "webhook-id",
                "may_resend": delivery.status != Status.WAITING
                and may(
                    request,
                    project=delivery.webhook.project,
                    codename=changing(delivery.webhook),
                    permission="manage",
                ),
            }
        return super().change_view(request, object_id, form_url, extra_context)


def _readable(delivery: Delivery) -> str:
    body = body_of(delivery)
    if delivery.webhook.form == Webhook.Form.MAIL:
        return body
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
