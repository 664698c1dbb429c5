"""Slots: which version serves where, for whom, and what a shadow says beside the champion."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from audit.selectors import events_of
from audit.services import Actor
from corpus.backoffice import ProjectFilter, ProjectHistory, may, refusals_told, require
from corpus.selectors import projects_visible
from inference.errors import ShareOutOfRange
from inference.models import Deployment
from inference.selectors import shadow_test_of, shares_in, version_f1
from inference.services import deployment_clear, deployment_share, version_roll_back
from inference.shares import shadow_share
from retraining.why import why_serving

PROMOTE = "inference.promote_modelversion"
Slot = Deployment.Slot
#: The page of what was tried.
_PAGES = {
    kind: f"admin:retraining_{model}_change"
    for kind, model in (("run", "trainingrun"), ("rollout", "rollout"), ("experiment", "experiment"))
}


@admin.register(Deployment)
class DeploymentAdmin(ProjectHistory):
    list_display = ("named", "project", "version", "f1", "share_shown", "previous", "changed_at")
    list_filter: ClassVar[Any] = (ProjectFilter, "slot")
    list_select_related = ("project", "version", "previous")
    change_form_template = "admin/inference/deployment_page.html"
    fields = ("project", "slot", "version", "f1", "share_shown", "previous", "generation", "changed_at")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/roll-back/", wrap(self.roll_back_view), name="inference_deployment_roll_back"),
            path("<int:pk>/share/", wrap(self.share_view), name="inference_deployment_share"),
            path("<int:pk>/clear/", wrap(self.clear_view), name="inference_deployment_clear"),
            path("why/<slug:slug>/", wrap(self.why_view), name="inference_deployment_why"),
            *super().get_urls(),
        ]

    @admin.display(description=_("slot"), ordering="slot")
    def named(self, deployment: Deployment) -> str:
        return deployment.get_slot_display()

    @admin.display(description="F1")
    def f1(self, deployment: Deployment) -> str:
        value = version_f1(deployment.version)
        return f"{100 * value:.1f}" if value is not None else "–"

    @admin.display(description=_("share of the callers"), ordering="share")
    def share_shown(self, deployment: Deployment) -> str:
        if deployment.slot == Slot.SHADOW:
            return str(_("reads {share:g} % again")).format(share=shadow_share(deployment.share))
        if deployment.share is not None:
            return f"{deployment.share:g} %"
        return str(_("the rest") if deployment.slot == Slot.CHAMPION else _("by default"))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        deployment = self.get_object(request, object_id)
        if deployment is not None:
            shares = shares_in(deployment.project)
            may_promote = may(request, project=deployment.project, codename=PROMOTE, permission="promote")
            extra_context = {
                **(extra_context or {}),
                "title": f"{deployment.get_slot_display()} of {deployment.project}",
                "subtitle": None,
                "deployment": deployment,
                "may_roll_back": deployment.previous_id is not None
                and deployment.slot == Slot.CHAMPION
                and may_promote,
                "may_share": deployment.slot != Slot.CHAMPION and may_promote,
                "may_clear": deployment.slot != Slot.CHAMPION and may_promote,
                "is_shadow": deployment.slot == Slot.SHADOW,
                "shadow_test": shadow_test_of(deployment.project) if deployment.slot == Slot.SHADOW else None,
                "shadow_share": shadow_share(deployment.share),
                "shares": [
                    (Slot(slot).label, share, slot == deployment.slot) for slot, share in shares.items()
                ],
                "events": events_of(deployment)[:50],
            }
        return super().change_view(request, object_id, form_url, extra_context)

    @method_decorator(require_POST)
    def roll_back_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Bring the earlier version back, in one click."""
        deployment = self._chosen(request, pk)
        with refusals_told(request):
            moved = version_roll_back(
                project=deployment.project,
                **_sent(request),
            )
            messages.success(
                request,
                _("Rolled back: {version} is champion again; callers get it within 5 seconds.").format(
                    version=moved.version
                ),
            )
        return redirect("admin:inference_deployment_change", deployment.pk)

    @method_decorator(require_safe)
    def why_view(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Why is this model serving?"""
        project = get_object_or_404(projects_visible(request.user), slug=slug)
        if not self.has_view_permission(request):
            raise PermissionDenied
        why = why_serving(project=project)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Why is this model serving?"),
            "opts": self.opts,
            "why": why,
            "attempts": [(one, reverse(_PAGES[one.kind], args=[one.id])) for one in why.attempts]
            if why is not None
            else [],
        }
        return TemplateResponse(request, "admin/inference/why.html", context)

    @method_decorator(require_POST)
    def share_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give the slot another share of the callers."""
        deployment = self._chosen(request, pk)
        with refusals_told(request):
            deployment_share(
                project=deployment.project,
                slot=deployment.slot,
                share=_percent(request.POST.get("share", "")),
                **_sent(request),
            )
            messages.success(request, _("The new share holds within 5 seconds."))
        return redirect("admin:inference_deployment_change", deployment.pk)

    @method_decorator(require_POST)
    def clear_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Empty the slot."""
        deployment = self._chosen(request, pk)
        with refusals_told(request):
            deployment_clear(
                project=deployment.project,
                slot=deployment.slot,
                **_sent(request),
            )
            messages.success(request, _("The slot is empty; the champion answers whom it answered."))
        return redirect("admin:inference_deployment_changelist")

    def _chosen(self, request: HttpRequest, pk: int) -> Deployment:
        """The slot of an address, for who may promote in its project."""
        deployment: Deployment | None = self.get_object(request, str(pk))
        if deployment is None:
            raise PermissionDenied
        require(request, project=deployment.project, codename=PROMOTE, permission="promote")
        return deployment


def _sent(request: HttpRequest) -> dict[str, Any]:
    """What every act on a slot is sent with: what it was before, who acts, and why."""
    return {
        "expected_generation": generation_sent(request.POST.get("generation")),
        "actor": Actor.of_user(request.user),
        "reason": request.POST.get("reason", "")[:500],
    }


def _percent(text: str) -> float | None:
    """What somebody typed as a share; nothing is the default. Raises ShareOutOfRange for no number."""
    text = text.strip().removesuffix("%").replace(",", ".")
    try:
        return float(text) if text else None
    except ValueError:
        raise ShareOutOfRange(pointer="/share") from None


def generation_sent(text: str | None) -> int:
    """The generation that a form sent; one that nobody has when it is not a number."""
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else -1
