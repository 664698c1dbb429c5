"""The page on which a project begins."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from corpus.errors import DomainError
from corpus.models import Label, Project
from corpus.services import LabelDraft
from inference.models import ModelVersion
from inference.selectors import bundled_versions, version_f1
from labeling.services.projects import project_begin
from labeling.views.access import person_of

#: What the labels of the bundled models are called.
TITLES = {
    "geo": gettext_lazy("Place"),
    "gpe": gettext_lazy("Nationality"),
    "org": gettext_lazy("Organisation"),
    "per": gettext_lazy("Person"),
    "tim": gettext_lazy("Time"),
    "art": gettext_lazy("Work"),
    "eve": gettext_lazy("Event"),
    "nat": gettext_lazy("Nature"),
}


class ModelField(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A model to begin with, by what it marks and how well."""

    def label_from_instance(self, version: Any) -> str:
        f1 = version_f1(version)
        marks = ", ".join(version.labels)
        if f1 is None:
            return _("{version}, marks {labels}").format(version=version, labels=marks)
        return _("{version}, marks {labels} (F1 {f1})").format(
            version=version, labels=marks, f1=number_format(round(100 * f1, 1), 1)
        )


class ProjectForm(forms.Form):
    """What a project needs to begin; labels are a line each."""

    name = forms.CharField(
        max_length=Project._meta.get_field("name").max_length,
        label=gettext_lazy("Name"),
        widget=forms.TextInput(attrs={"autofocus": True}),
    )
    description = forms.CharField(
        required=False, label=gettext_lazy("What it is about"), widget=forms.Textarea(attrs={"rows": 2})
    )
    version = ModelField(
        ModelVersion.objects.none(),
        required=False,
        empty_label=gettext_lazy("None: people mark the first texts from nothing"),
        label=gettext_lazy("Model that makes the first suggestions"),
    )
    labels = forms.CharField(
        label=gettext_lazy("Labels"),
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=gettext_lazy(
            "One a line: a short name, then what people call it. Take out what you do not need. "
            "A label that the model does not know is learned from your corrections. All can be changed later."
        ),
    )
    allow_overlap = forms.BooleanField(required=False, label=gettext_lazy("Spans may overlap"))
    slug = forms.SlugField(
        required=False,
        max_length=Project._meta.get_field("slug").max_length,
        label=gettext_lazy("Short name"),
        help_text=gettext_lazy("For addresses and the API; it stays. Empty: made from the name."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        versions = bundled_versions()
        field: Any = self.fields["version"]
        field.queryset = versions
        if (best := versions.first()) is not None:
            field.initial = best.pk
            known = [f"{name} {TITLES[name]}" if name in TITLES else name for name in best.labels]
            self.fields["labels"].initial = "\n".join(known)

    def clean_labels(self) -> list[LabelDraft]:
        """Each line as a label: its name, then the title people see."""
        drafts = []
        for line in str(self.cleaned_data["labels"]).splitlines():
            name, __, title = line.strip().partition(" ")
            if name:
                for validator in Label._meta.get_field("name").validators:
                    validator(name)
                drafts.append(LabelDraft(name=name, title=title.strip()))
        names = [draft.name.lower() for draft in drafts]
        if repeated := {name for name in names if names.count(name) > 1}:
            raise ValidationError(_("Given twice: {names}.").format(names=", ".join(sorted(repeated))))
        return drafts


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def project_new(request: HttpRequest) -> HttpResponse:
    """Begin a project; its home then says how to bring texts in."""
    person = person_of(request)
    if not person.has_perm("corpus.add_project"):
        raise PermissionDenied
    form = ProjectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            project = project_begin(user=person, **form.cleaned_data)
        except DomainError as refused:
            form.add_error("slug" if refused.pointer == "/slug" else None, refused.words)
        else:
            return redirect("labeling:project", project.slug)
    return render(request, "labeling/project_new.html", {"form": form})
