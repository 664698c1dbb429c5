"""Model versions, slots and people: the pages of the back office that need every layer of the house."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from axes.models import AccessFailureLog, AccessLog
from django import forms
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.forms import UserChangeForm
from django.contrib.auth.models import Group, Permission, User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from audit.backoffice import BackOfficeAdmin
from audit.selectors import events_of
from audit.services import Actor, event_record
from corpus.backoffice import ProjectFilter, may, refusals_told, require
from corpus.errors import Conflict
from corpus.models import Project
from corpus.selectors import projects_visible
from inference.errors import DeploymentMoved
from inference.models import Deployment, Evaluation, ModelVersion
from inference.selectors import deployment_of
from inference.services import deployment_set, version_promote
from nerapp.drift_page import DriftReportAdmin  # noqa: F401  (importing registers it)
from nerapp.slot_admin import PROMOTE, generation_sent
from nerapp.version_explained import VersionExplained
from nerapp.version_page import (
    deployments_of,
    exams_of,
    live_quality_of,
    measured,
    places_of,
    run_of,
)
from retraining.admin import verdict_words
from retraining.services import candidate_promote

#: The packages whose permissions mean something here.
RIGHTS = ("audit", "auth", "corpus", "inference", "feedback", "labeling", "retraining")

# Accounts have no e-mail address here, second factors are their owner's business, and of the sign-ins the
# failed ones are what somebody may have to look at.
for model in (EmailAddress, Authenticator, AccessFailureLog, AccessLog, User, Group):
    admin.site.unregister(model)


class RecordsPeople(BackOfficeAdmin):
    """Accounts and groups: Django's own pages, with a line in the audit log for each change."""

    noun = ""

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "create", message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, obj, "change", message)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with transaction.atomic():
            return super().changeform_view(request, *args, **kwargs)

    def _record(self, request: HttpRequest, obj: Any, verb: str, message: Any) -> Any:
        changed = message if isinstance(message, list) else [str(message)]
        event_record(
            action=f"{self.noun}.{verb}",
            actor=Actor.of_user(request.user),
            subject=obj,
            data={"name": str(obj), "changed": changed},
        )


@admin.register(User)
class PersonAdmin(RecordsPeople, UserAdmin):  # type: ignore[type-arg]
    """Accounts. Rights come from groups, and roles from projects; only superusers hand out rights."""

    noun = "person"
    form = UserChangeForm
    list_display = ("username", "first_name", "last_name", "is_active", "is_staff", "last_login")
    list_filter: ClassVar[Any] = ("is_active", "is_staff", "is_superuser", "groups")
    fieldsets: ClassVar[Any] = (
        (None, {"fields": ("username", "password")}),
        ("Name", {"fields": ("first_name", "last_name")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
        ("When", {"fields": ("last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **options: Any
    ) -> Any:
        options |= {"widget": forms.CheckboxSelectMultiple}
        return super().formfield_for_manytomany(db_field, cast(HttpRequest, request), **options)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        if request.user.is_superuser:
            return self.readonly_fields
        return (*self.readonly_fields, "is_staff", "is_superuser", "groups")

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # Whoever could change a superuser's password would be one.
        allowed = super().has_change_permission(request, obj)
        return allowed and (obj is None or request.user.is_superuser or not obj.is_superuser)

    @transaction.atomic
    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> Any:
        return super().user_change_password(request, id, form_url)


@admin.register(Group)
class RightsAdmin(RecordsPeople, GroupAdmin):
    """Groups of Django permissions: which kinds of act their members may do."""

    noun = "group"
    filter_horizontal = ()

    def formfield_for_manytomany(
        self, db_field: Any, request: HttpRequest | None = None, **options: Any
    ) -> Any:
        ours = Permission.objects.filter(content_type__app_label__in=RIGHTS).select_related("content_type")
        options |= {"queryset": ours, "widget": forms.SelectMultiple(attrs={"size": 24})}
        return super().formfield_for_manytomany(db_field, request, **options)

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return bool(request.user.is_superuser)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)


class NoSuchPlace(Conflict):
    """This version cannot serve this project."""

    code = "no_such_place"


@admin.register(ModelVersion)
class ModelVersionAdmin(VersionExplained):
    list_display = ("named", "project", "serves", "family", "verdict", "f1", "size", "created_at")
    list_filter: ClassVar[Any] = (ProjectFilter, "origin", "family")
    list_select_related = ("project", "training_run")
    search_fields = ("name", "sha256__startswith")
    search_help_text = _("The name, or how the SHA-256 of the bundle begins")
    change_form_template = "admin/inference/version_page.html"
    fields = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[ModelVersion]:
        return super().get_queryset(request).prefetch_related("deployments__project", "evaluations")

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/promote/", wrap(self.promote_view), name="inference_modelversion_promote"),
            path("<int:pk>/shadow/", wrap(self.shadow_view), name="inference_modelversion_shadow"),
            *super().get_urls(),
        ]

    # --- The list ---

    @admin.display(description=_("version"), ordering="name")
    def named(self, version: ModelVersion) -> str:
        return str(version)

    @admin.display(description=_("serves"))
    def serves(self, version: ModelVersion) -> SafeString | str:
        slots = [(one.get_slot_display().lower(), one.project.name) for one in version.deployments.all()]
        return format_html_join(" ", '<span class="state busy">{} of {}</span>', slots) if slots else "–"

    @admin.display(description=_("gate"))
    def verdict(self, version: ModelVersion) -> SafeString | str:
        run = getattr(version, "training_run", None)
        if run is None or run.verdict is None:
            return "–"
        state = "good" if run.verdict["passed"] else "bad"
        return format_html('<span class="state {}">{}</span>', state, verdict_words(run))

    @admin.display(description="F1")
    def f1(self, version: ModelVersion) -> str:
        tests = [one for one in version.evaluations.all() if one.kind == Evaluation.Kind.TEST]
        if tests:
            return f"{100 * max(tests, key=lambda one: one.created_at).f1:.1f}"
        micro = measured(version).get("micro", {})
        return f"{100 * micro['f1']:.1f} (GMB)" if "f1" in micro else "–"

    @admin.display(description=_("size"), ordering="size_bytes")
    def size(self, version: ModelVersion) -> str:
        return f"{version.size_bytes / 1_000_000:.1f} MB" if version.size_bytes else "–"

    # --- The page ---

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        version = self.get_object(request, object_id)
        if version is not None:
            projects = projects_visible(request.user)
            run = run_of(version)
            exams = exams_of(version, run)
            places = [
                (place, self._may_promote(request, place.project))
                for place in places_of(version, projects, run)
            ]
            shadowed = set(
                version.deployments.filter(slot=Deployment.Slot.SHADOW).values_list("project", flat=True)
            )
            extra_context = {
                **(extra_context or {}),
                "title": str(version),
                "subtitle": None,
                "version": version,
                "run": run,
                "deployments": deployments_of(version, projects),
                "places": places,
                "shadow_places": [
                    place
                    for place, allowed in places
                    if allowed and place.champion and not place.is_champion
                    if place.project.pk not in shadowed and version.origin != ModelVersion.Origin.EXTERNAL
                ],
                "exams": exams,
                "live_quality": live_quality_of(version, projects),
                "bundle_test": measured(version) if not exams else {},
                "children": version.children.filter(Q(project__in=projects) | Q(project=None)),
                "events": events_of(version),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    # --- Promoting ---

    @method_decorator(require_POST)
    def promote_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Make the version champion of a project, with a reason and over the champion that was shown."""
        version = self.version_of(request, pk)
        project = self._project(request)
        with refusals_told(request):
            if version.project_id not in {None, project.pk}:
                raise NoSuchPlace
            deployment = self._promote(
                request,
                version,
                project,
                generation=generation_sent(request.POST.get("generation")),
                reason=request.POST.get("reason", "")[:500],
            )
            messages.success(
                request,
                _("{version} is champion of {project}; callers get it within 5 seconds.").format(
                    version=deployment.version, project=project
                ),
            )
        return redirect("admin:inference_modelversion_change", version.pk)

    @method_decorator(require_POST)
    def shadow_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Let the version read again what a project's champion answers."""
        version = self.version_of(request, pk)
        project = self._project(request)
        with refusals_told(request):
            deployment_set(
                project=project,
                slot=Deployment.Slot.SHADOW,
                version=version,
                actor=Actor.of_user(request.user),
                reason=request.POST.get("reason", "")[:500],
            )
            messages.success(
                request,
                _("{version} reads in the shadow now; the first numbers come within a minute.").format(
                    version=version
                ),
            )
        return redirect("admin:inference_modelversion_change", version.pk)

    def _project(self, request: HttpRequest) -> Project:
        """The project that a form names, where the person may promote."""
        project = projects_visible(request.user).filter(slug=request.POST.get("project", "")).first()
        if project is None:
            raise PermissionDenied
        require(request, project=project, codename=PROMOTE, permission="promote")
        return project

    def _promote(
        self, request: HttpRequest, version: ModelVersion, project: Project, *, generation: int, reason: str
    ) -> Deployment:
        actor = Actor.of_user(request.user)
        run = run_of(version)
        if run is None:
            return version_promote(
                project=project,
                version=version,
                expected_generation=generation,
                actor=actor,
                reason=reason,
            )
        # The use case takes a candidate past its verdict and over the champion it was judged against; here
        # we see to it that this is also the state that the page showed.
        present = deployment_of(project)
        if (present.generation if present is not None else 0) != generation:
            raise DeploymentMoved
        return candidate_promote(run=run, actor=actor, reason=reason)

    def _may_promote(self, request: HttpRequest, project: Project) -> bool:
        return may(request, project=project, codename=PROMOTE, permission="promote")
