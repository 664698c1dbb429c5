"""A project's home."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from corpus.selectors import label_set_current, labels_of, project_allows
from inference.selectors import deployment_of
from labeling.selectors import corrections_latest, progress_of, queue_rows, strata_waiting, texts_count
from labeling.views.access import person_of, project_of


@require_safe
@login_required
def project(request: HttpRequest, slug: str) -> HttpResponse:
    """A project's home: what waits, how far the review is, what the champion is."""
    found = project_of(request, slug)
    progress = progress_of(project=found, user=person_of(request))
    context = {
        "project": found,
        "tab": "overview",
        "progress": progress,
        "percent_done": round(progress.share_done * 100),
        "strata": strata_waiting(project=found),
        "champion": deployment_of(found),
        "labels": labels_of(label_set=label_set_current(project=found)),
        "documents": sum(texts_count(project=found).values()),
        "queue": queue_rows(project=found, user=person_of(request), limit=6),
        "corrections": corrections_latest(project=found),
        "may_review": project_allows(project=found, user=person_of(request), permission="review"),
    }
    return render(request, "labeling/project.html", context)
