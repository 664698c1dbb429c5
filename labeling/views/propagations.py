"""The pages of decisions that were carried over: look, apply as a batch, take back as a batch."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe

from corpus.errors import DomainError, NotFound
from corpus.models import Project
from corpus.selectors import label_set_current, labels_of
from labeling.models import Task
from labeling.selectors import task_get
from labeling.selectors.names import naming
from labeling.selectors.propagations import occurrences, propagation_get, propagations_latest
from labeling.services.propagations import propagation_apply, propagation_revoke
from labeling.views.access import person_of, project_of


@require_safe
@login_required
def propagations(request: HttpRequest, slug: str) -> HttpResponse:
    """The batches, newest first, and a way to begin one."""
    found = project_of(request, slug, permission="review")
    name = naming(project=found, viewer=person_of(request))
    context = {
        "project": found,
        "tab": "texts",
        "batches": [
            (name(batch.author), name(batch.revoked_by), batch)
            for batch in propagations_latest(project=found)
        ],
        "labels": labels_of(label_set=label_set_current(project=found)),
    }
    return render(request, "labeling/propagations.html", context)


@require_safe
@login_required
def propagation_new(request: HttpRequest, slug: str) -> HttpResponse:
    """Each place where a decision would change something, to be looked at and unticked."""
    found = project_of(request, slug, permission="review")
    surface, label = request.GET.get("surface", ""), request.GET.get("label", "")
    context = {
        "project": found,
        "tab": "texts",
        "surface": surface,
        "label": label,
        "task": request.GET.get("task", ""),
        "back": _back(found, request.GET.get("task", "")),
    }
    task = _task(found, request.GET.get("task", ""))
    try:
        context["found"] = occurrences(
            project=found,
            user=person_of(request),
            surface=surface,
            label=label,
            besides=task.pk if task else None,
        )
    except DomainError as error:
        context["problem"] = error
    status = 400 if "problem" in context else 200
    return render(request, "labeling/propagation_new.html", context, status=status)


@require_POST
@login_required
def propagation_make(request: HttpRequest, slug: str) -> HttpResponse:
    """Apply what stayed ticked."""
    found = project_of(request, slug, permission="review")
    try:
        propagation = propagation_apply(
            project=found,
            user=person_of(request),
            surface=request.POST.get("surface", ""),
            label=request.POST.get("label", ""),
            places=[_place(value) for value in request.POST.getlist("place")],
            task=_task(found, request.POST.get("task", "")),
        )
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        count = propagation.spans.count()
        messages.success(
            request,
            ngettext(
                "Marked in {count} place. It counts once the text is reviewed.",
                "Marked in {count} places. They count once their texts are reviewed.",
                count,
            ).format(count=count),
        )
    return redirect(_back(found, request.POST.get("task", "")))


def _back(project: Project, task: str) -> str:
    """Where the decision was made: the text in the workbench, else the list of batches."""
    if task.isascii() and task.isdigit():
        return f"{reverse('labeling:review', args=[project.slug])}?task={task}"
    return reverse("labeling:propagations", args=[project.slug])


@require_POST
@login_required
def propagation_back(request: HttpRequest, slug: str, propagation_id: int) -> HttpResponse:
    """Take a batch back."""
    found = project_of(request, slug, permission="review")
    try:
        revoked = propagation_revoke(
            propagation=propagation_get(project=found, propagation_id=propagation_id),
            user=person_of(request),
            reason=request.POST.get("reason", ""),
        )
    except NotFound as error:
        raise Http404 from error
    except DomainError as error:
        messages.error(request, error.detail)
    else:
        messages.success(
            request,
            _("Taken back from {count} texts; {submitted} were submitted before and stay.").format(
                count=revoked.taken_back, submitted=len(revoked.submitted)
            ),
        )
    return redirect("labeling:propagations", found.slug)


def _place(value: str) -> tuple[int, int]:
    task, _colon, start = value.partition(":")
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in (task, start)):
        raise Http404
    return int(task), int(start)


def _task(project: Project, value: str) -> Task | None:
    if not value:
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 19):
        raise Http404
    try:
        return task_get(project=project, task_id=int(value))
    except NotFound as error:
        raise Http404 from error
