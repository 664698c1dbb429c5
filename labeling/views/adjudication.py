"""The page where it is decided what is true of texts on which annotators differ."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from corpus.errors import NotFound
from feedback.models import GoldItem
from labeling.adjudication import adjudication_payload
from labeling.models import Task
from labeling.selectors import task_get
from labeling.selectors.team import disputed_rows
from labeling.views.access import is_number, person_of, project_of
from labeling.workbench import pieces_of


@require_safe
@never_cache
@login_required
def adjudication(request: HttpRequest, slug: str) -> HttpResponse:
    """The longest waiting of the disputed texts, or `?task=`."""
    found = project_of(request, slug, permission="adjudicate")
    rows = disputed_rows(project=found)
    context = {"project": found, "tab": "adjudication", "rows": rows, "count": len(rows)}
    asked = request.GET.get("task") or (str(rows[0].id) if rows else "")
    if not asked:
        return render(request, "labeling/adjudication_empty.html", context)
    if not is_number(asked):
        raise Http404
    try:
        task = task_get(project=found, task_id=int(asked))
    except NotFound as error:
        raise Http404 from error
    if task.annotators_wanted == 1 or (task.status == Task.Status.OPEN and task.disputed_at is None):
        # Nothing to decide yet: whoever looked now would know what others are still to find by themselves.
        raise Http404
    payload = adjudication_payload(task=task, user=person_of(request))
    context |= {
        "task": payload,
        "lines": pieces_of(payload),
        "is_decided": task.status == Task.Status.DONE,
        "is_gold": GoldItem.objects.filter(document=task.document_id).exists(),
        "config": {
            "base": reverse("labeling:adjudication", args=[found.slug]),
            "user": {"id": request.user.pk, "name": str(request.user)},
            "csrfCookie": settings.CSRF_COOKIE_NAME,
            "allowOverlap": found.allow_overlap,
            "at": int(at) if is_number(at := request.GET.get("at", "")) else -1,
        },
    }
    return render(request, "labeling/adjudication.html", context)
