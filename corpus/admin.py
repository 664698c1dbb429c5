"""Projects with their labels and people, and the texts."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Left
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from audit.services import Actor
from corpus.backoffice import (
    ProjectFilter,
    ProjectHistory,
    ProjectRows,
    may,
    refusals_on,
    refusals_told,
    require,
)
from corpus.models import Document, Label, LabelSet, Membership, Project
from corpus.selectors import label_set_current
from corpus.services import (
    RESERVED_HOTKEYS,
    LabelDraft,
    label_set_revise,
    membership_end,
    membership_set,
    project_change,
)

EXCERPT = 110


class LabelForm(forms.Form):
    """One label of the next revision; a row without a name is left out."""

    name = forms.CharField(max_length=50, required=False, validators=Label._meta.get_field("name").validators)
    title = forms.CharField(max_length=100, required=False)
    hotkey = forms.CharField(
        max_length=1, required=False, validators=Label._meta.get_field("hotkey").validators
    )
    confidence_threshold = forms.FloatField(min_value=0, max_value=1, required=False, label=_("shown from"))
    is_pii = forms.BooleanField(required=False, label=_("personal data"))
    description = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))
    guideline = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 2}))

    def draft(self) -> LabelDraft | None:
        """What was typed, as the use case takes it."""
        values = dict(self.cleaned_data)
        values["confidence_threshold"] = values["confidence_threshold"] or 0.0
        return LabelDraft(**values) if values["name"] else None


class BaseLabelFormSet(forms.BaseFormSet):  # type: ignore[type-arg]
    def clean(self) -> None:
        names = [form.cleaned_data.get("name", "").lower() for form in self.forms if form.is_valid()]
        keys = [form.cleaned_data.get("hotkey", "") for form in self.forms if form.is_valid()]
        if not any(names):
            raise forms.ValidationError(_("A project needs at least one label."))
        for values, words in (
            (names, _("Two labels have the same name: {values}.")),
            (keys, _("Two labels have the same key: {values}.")),
        ):
            given = [value for value in values if value]
            if repeated := {value for value in given if given.count(value) > 1}:
                raise forms.ValidationError(words.format(values=", ".join(sorted(repeated))))

    def drafts(self) -> list[LabelDraft]:
        """The labels in the order of the page."""
        return [draft for form in self.forms if (draft := form.draft())]


LabelFormSet = forms.formset_factory(LabelForm, formset=BaseLabelFormSet, extra=4, max_num=200)


class MemberForm(forms.Form):
    user = forms.ModelChoiceField(
        get_user_model().objects.filter(is_active=True).order_by("username"), label=_("Person")
    )
    role = forms.ChoiceField(choices=Membership.Role.choices, initial=Membership.Role.REVIEWER)


@admin.register(Project)
class ProjectAdmin(ProjectRows):
    list_display = ("name", "slug", "documents", "people", "created_at")
    search_fields = ("name", "slug")
    fields: ClassVar[Any] = (
        "name",
        "slug",
        "description",
        "allow_overlap",
        "random_share",
        "diverse_share",
        "traffic_share",
        "traffic_bar",
        "traffic_daily_limit",
        "created_at",
    )
    readonly_fields = ("slug", "created_at")
    change_form_template = "admin/corpus/project_page.html"

    def get_queryset(self, request: HttpRequest) -> Any:
        return (
            super()
            .get_queryset(request)
            .annotate(
                document_count=Count("documents", distinct=True),
                member_count=Count("memberships", distinct=True),
            )
        )

    def visible_to(self, projects: QuerySet[Project]) -> Q:
        return Q(pk__in=projects)

    @admin.display(ordering="document_count")
    def documents(self, project: Project) -> int:
        return int(project.document_count)  # type: ignore[attr-defined]

    @admin.display(ordering="member_count")
    def people(self, project: Project) -> int:
        return int(project.member_count)  # type: ignore[attr-defined]

    def has_change_permission(self, request: HttpRequest, obj: Project | None = None) -> bool:
        allowed = super().has_change_permission(request, obj)
        return allowed and (
            obj is None or may(request, project=obj, codename="corpus.change_project", permission="manage")
        )

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/labels/", wrap(self.labels_view), name="corpus_project_labels"),
            path("<int:pk>/people/", wrap(self.people_view), name="corpus_project_people"),
            path(
                "<int:pk>/people/<int:membership>/end/",
                wrap(self.person_end_view),
                name="corpus_project_person_end",
            ),
            *super().get_urls(),
        ]

    # --- Making and changing ---

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """A project begins on a page of its own, with its labels and its first model."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return redirect("labeling:project_new")

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:
        project_change(
            project=obj,
            actor=Actor.of_user(request.user),
            **{name: form.cleaned_data[name] for name in form.changed_data},
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        project = self.get_object(request, object_id)
        if project is not None:
            label_sets = project.label_sets.order_by("-revision").prefetch_related("labels")
            extra_context = {
                **(extra_context or {}),
                "label_sets": label_sets,
                "members": project.memberships.select_related("user").order_by("user__username"),
                "may_revise": may(
                    request, project=project, codename="corpus.revise_labelset", permission="manage"
                ),
                "may_manage": may(
                    request, project=project, codename="corpus.change_membership", permission="manage"
                ),
            }
        return super().change_view(request, object_id, form_url, extra_context)

    # --- Labels ---

    def labels_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The next revision of the labels, starting from the present one."""
        project = self._project(request, pk)
        require(request, project=project, codename="corpus.revise_labelset", permission="manage")
        current: LabelSet = label_set_current(project=project)
        names = LabelForm.base_fields
        initial = [{name: getattr(label, name) for name in names} for label in current.labels.all()]
        formset = cast(BaseLabelFormSet, LabelFormSet(request.POST or None, initial=initial))
        reason = forms.CharField(max_length=500, required=False).clean(request.POST.get("reason", ""))
        if request.method == "POST" and formset.is_valid():
            try:
                label_set = label_set_revise(
                    project=project,
                    labels=formset.drafts(),
                    actor=Actor.of_user(request.user),
                    reason=reason,
                )
            except forms.ValidationError as invalid:
                formset.non_form_errors().extend(invalid.messages)
            else:
                messages.success(
                    request, _("The labels are at revision {number} now.").format(number=label_set.revision)
                )
                return self._back(project)
        context = {
            **self.admin_site.each_context(request),
            "title": f"Labels of {project}",
            "opts": self.opts,
            "project": project,
            "current": current,
            "reserved": " ".join(sorted(RESERVED_HOTKEYS)),
            "formset": formset,
            "reason": reason,
        }
        return TemplateResponse(request, "admin/corpus/labels.html", context)

    # --- People ---

    def people_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Give a person a role in the project."""
        project = self._project(request, pk)
        require(request, project=project, codename="corpus.change_membership", permission="manage")
        form = MemberForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with refusals_on(form):
                membership = membership_set(
                    project=project,
                    user=form.cleaned_data["user"],
                    role=form.cleaned_data["role"],
                    actor=Actor.of_user(request.user),
                )
                messages.success(request, f"{membership}.")
                return self._back(project)
        context = {
            **self.admin_site.each_context(request),
            "title": f"People of {project}",
            "opts": self.opts,
            "project": project,
            "form": form,
            "act": "Set the role",
            "back": reverse("admin:corpus_project_change", args=[project.pk]),
        }
        return TemplateResponse(request, "admin/act.html", context)

    @method_decorator(require_POST)
    def person_end_view(self, request: HttpRequest, pk: int, membership: int) -> HttpResponse:
        """Take a person out of the project."""
        project = self._project(request, pk)
        require(request, project=project, codename="corpus.change_membership", permission="manage")
        found = project.memberships.filter(pk=membership).first()
        if found is not None:
            with refusals_told(request):
                membership_end(membership=found, actor=Actor.of_user(request.user))
                messages.success(
                    request,
                    _("{user} is not in {project} any more.").format(user=found.user, project=project),
                )
        return self._back(project)

    def _project(self, request: HttpRequest, pk: int) -> Project:
        project: Project | None = self.get_object(request, str(pk))
        if project is None:
            raise PermissionDenied
        return project

    def _back(self, project: Project) -> HttpResponseRedirect:
        return redirect("admin:corpus_project_change", project.pk)


@admin.register(Document)
class DocumentAdmin(ProjectHistory):
    list_display = ("excerpt", "project", "source", "external_id", "language", "created_at")
    list_filter: ClassVar[Any] = (ProjectFilter, "source")
    list_select_related = ("project",)
    search_fields = ("external_id",)
    search_help_text = _("The id that the source gave it")
    change_form_template = "admin/corpus/document_page.html"
    fields = (
        "project",
        "source",
        "external_id",
        "language",
        "metadata",
        "text_hash",
        "created_at",
        "redacted_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        queryset = super().get_queryset(request)
        # Not the texts themselves in lists: one may be a million characters long.
        if request.resolver_match and request.resolver_match.url_name == "corpus_document_changelist":
            queryset = queryset.defer("text").annotate(head=Left("text", EXCERPT))
        return queryset

    @admin.display(description=_("text"))
    def excerpt(self, document: Document) -> str:
        head = str(getattr(document, "head", document.text[:EXCERPT]))
        return (head + "…" if len(head) == EXCERPT else head) or "(erased)"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        document = self.get_object(request, object_id)
        if document is not None:
            labels = label_set_current(project=document.project).labels.all()
            extra_context = {
                **(extra_context or {}),
                "hues": {label.name: label.hue for label in labels},
                "corrections": document.corrections.select_related("author", "api_key").order_by("-number")[
                    :20
                ],
                "predictions": document.predictions.select_related("version").order_by("-created_at")[:20],
            }
        return super().change_view(request, object_id, form_url, extra_context)
