"""The workbench's page."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from corpus.errors import NotFound
from corpus.models import Project
from corpus.selectors import project_allows
from feedback.models import GoldItem
from inference.selectors import deployment_of
from labeling.errors import TaskLocked
from labeling.models import Task
from labeling.selectors import done_rows, progress_of, queue_rows, task_get, texts_count
from labeling.services import task_claim
from labeling.services.claims import task_take
from labeling.views.access import is_number, person_of, project_of
from labeling.views.look import look_of
from labeling.workbench import LONG_LINE, SURE, pieces_of, task_payload


@require_safe
@never_cache
@login_required
def review(request: HttpRequest, slug: str) -> HttpResponse:
    """The workbench on the next task, or on `?task=`."""
    found = project_of(request, slug, permission="review")
    progress = progress_of(project=found, user=person_of(request))
    task = _task(request, found)
    if task is None:
        context = {
            "project": found,
            "tab": "review",
            "progress": progress,
            "documents": sum(texts_count(project=found).values()),
            "champion": deployment_of(found),
        }
        return render(request, "labeling/empty.html", context)
    payload = task_payload(task=task_get(project=found, task_id=task.pk), user=person_of(request))
    # Nothing tells a gold item from any other text to the person whom it measures.
    is_decided = payload["status"] == Task.Status.DONE
    queue = queue_rows(project=found, user=person_of(request))
    context = {
        "project": found,
        "progress": progress,
        "task": payload,
        "may_vouch": is_decided
        and project_allows(project=found, user=person_of(request), permission="adjudicate"),
        "is_gold": is_decided and GoldItem.objects.filter(document=task.document_id).exists(),
        "lines": pieces_of(payload),
        "long_line": LONG_LINE,
        "look": look_of(request),
        "queue": queue,
        "done": done_rows(project=found, user=person_of(request)),
        "config": {
            "base": request.path,
            "user": {"id": request.user.pk, "name": str(request.user)},
            "csrfCookie": settings.CSRF_COOKIE_NAME,
            "signIn": reverse(settings.LOGIN_URL),
            "doneToday": progress.mine_today,
            "leaseSeconds": settings.TASK_LEASE_SECONDS,
            "allowOverlap": found.allow_overlap,
            "sure": SURE,
            "offers": True,
        },
    }
    return render(request, "labeling/review.html", context)


def _task(request: HttpRequest, found: Project) -> Task | None:
    asked = request.GET.get("task", "")
    if not asked:
        return task_claim(project=found, user=person_of(request))
    if not is_number(asked):
        raise Http404
    try:
        return task_take(task=task_get(project=found, task_id=int(asked)), user=person_of(request))
    except NotFound as error:
        raise Http404 from error
    except TaskLocked as error:
        messages.warning(request, error.words)
        return task_claim(project=found, user=person_of(request))
