"""The back office: Django's admin under our name, theme and home page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import REDIRECT_FIELD_NAME
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

#: The models of the navigation, in the order of the loop; whatever is not here stands in the last group.
GROUPS: tuple[tuple[StrPromise | str, tuple[str, ...]], ...] = (
    (_("Texts"), ("corpus.Project", "corpus.Document")),
    (
        _("Serving"),
        (
            "inference.ModelVersion",
            "inference.Deployment",
            "inference.ShadowComparison",
            "inference.Prediction",
            "inference.PredictionJob",
            "inference.ApiKey",
        ),
    ),
    (
        _("Review"),
        (
            "labeling.Task",
            "labeling.Assignment",
            "feedback.Opinion",
            "feedback.GoldItem",
            "feedback.Correction",
            "feedback.Rating",
        ),
    ),
    (
        _("Learning"),
        (
            "retraining.TrainingRun",
            "retraining.RetrainPolicy",
            "retraining.RetrainDecision",
            "retraining.TrainingSet",
            "retraining.DriftReport",
            "retraining.Rollout",
            "retraining.RolloutPolicy",
            "retraining.Experiment",
        ),
    ),
    (
        _("Notifications"),
        ("webhooks.Channel", "webhooks.PlannedChange", "webhooks.Webhook", "webhooks.Delivery"),
    ),
    (_("Records and people"), ("audit.AuditEvent", "auth.User", "auth.Group")),
)


class NerappAdminSite(admin.AdminSite):
    """The admin site; its home page answers how serving, the champion, the queue and learning are."""

    site_header = "nerapp"
    site_title = "nerapp"
    index_title = _("Overview")
    index_template = "admin/overview.html"
    enable_nav_sidebar = False

    def each_context(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().each_context(request), "office_home": reverse("admin:index")}

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Grouped by what people come for, not by Python packages."""
        if app_label is not None:
            return super().get_app_list(request, app_label)
        rows = {
            f"{app['app_label']}.{model['object_name']}": model
            for app in self._build_app_dict(request).values()
            for model in app["models"]
        }
        groups: list[Any] = []
        for name, members in GROUPS:
            found = [rows.pop(member) for member in members if member in rows]
            groups.append(
                {"name": str(name), "app_label": f"group-{len(groups)}", "app_url": "", "models": found}
            )
        groups[-1]["models"] += sorted(rows.values(), key=lambda row: str(row["name"]))
        return [group for group in groups if group["models"]]

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        # Here, because the site is made before the models are loaded.
        from corpus.selectors import projects_visible
        from nerapp.dashboard import dashboard_of

        answers = dashboard_of(projects_visible(request.user))
        return super().index(request, {"dashboard": answers, **(extra_context or {})})

    def app_index(
        self, request: HttpRequest, app_label: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        return redirect("admin:index")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """One door for all: the account page, with its lock-out and second factor."""
        target = request.GET.get(REDIRECT_FIELD_NAME, "")
        is_ours = url_has_allowed_host_and_scheme(
            target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
        )
        if request.user.is_authenticated:
            # Signed in, but sent here: this account is not for the back office.
            raise PermissionDenied
        return redirect_to_login(target if is_ours else reverse("admin:index"))

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return redirect("account_logout")

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return redirect("account_change_password")
