"""The pages of reviewing: a project's home and the workbench."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from corpus.errors import NotFound
from corpus.models import Document, Project
from corpus.selectors import label_set_current, labels_of, project_allows, project_get
from inference.selectors import deployment_of
from labeling.errors import TaskLocked
from labeling.models import Task
from labeling.selectors import (
    corrections_latest,
    done_rows,
    progress_of,
    queue_rows,
    strata_waiting,
    task_get,
)
from labeling.services import task_claim
from labeling.services.claims import task_take
from labeling.workbench import SURE, pieces_of, task_payload


def _person(request: HttpRequest) -> User:
    """Who is signed in; every view here asks for that first."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def _project(request: HttpRequest, slug: str) -> Project:
    try:
        return project_get(slug=slug, user=_person(request))
    except NotFound as error:
        raise Http404 from error


@require_safe
@login_required
def project(request: HttpRequest, slug: str) -> HttpResponse:
    """A project's home: what waits, how far the review is, what the champion is."""
    found = _project(request, slug)
    progress = progress_of(project=found, user=_person(request))
    context = {
        "project": found,
        "progress": progress,
        "percent_done": round(progress.share_done * 100),
        "strata": strata_waiting(project=found),
        "champion": deployment_of(found),
        "labels": labels_of(label_set=label_set_current(project=found)),
        "documents": Document.objects.filter(project=found).count(),
        "queue": queue_rows(project=found, user=_person(request), limit=6),
        "corrections": corrections_latest(project=found),
        "may_review": project_allows(project=found, user=_person(request), permission="review"),
    }
    return render(request, "labeling/project.html", context)


@require_safe
@never_cache
@login_required
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """The workbench on the next task, or on `?task=`."""
    found = _project(request, slug)
    if not project_allows(project=found, user=_person(request), permission="review"):
        raise PermissionDenied
    progress = progress_of(project=found, user=_person(request))
    task = _task(request, found)
    if task is None:
        context = {
            "project": found,
            "progress": progress,
            "documents": Document.objects.filter(project=found).count(),
            "champion": deployment_of(found),
        }
        return render(request, "labeling/empty.html", context)
    payload = task_payload(task=task_get(project=found, task_id=task.pk), user=_person(request))
    queue = queue_rows(project=found, user=_person(request))
    context = {
        "project": found,
        "progress": progress,
        "task": payload,
        "lines": pieces_of(payload),
        "queue": queue,
        "done": done_rows(project=found, user=_person(request)),
        "config": {
            "base": request.path,
            "user": {"id": request.user.pk, "name": str(request.user)},
            "csrfCookie": settings.CSRF_COOKIE_NAME,
            "signIn": reverse(settings.LOGIN_URL),
            "doneToday": progress.mine_today,
            "leaseSeconds": settings.TASK_LEASE_SECONDS,
            "allowOverlap": found.allow_overlap,
            "sure": SURE,
        },
    }
    return render(request, "labeling/review.html", context)


def _task(request: HttpRequest, found: Project) -> Task | None:
    asked = request.GET.get("task", "")
    if not asked:
        return task_claim(project=found, user=_person(request))
    if not (asked.isascii() and asked.isdigit() and len(asked) < 19):
        raise Http404
    try:
        return task_take(task=task_get(project=found, task_id=int(asked)), user=_person(request))
    except NotFound as error:
        raise Http404 from error
    except TaskLocked as error:
        messages.warning(request, error.detail)
        return task_claim(project=found, user=_person(request))
