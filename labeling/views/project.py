"""A project's home."""

from __future__ import annotations

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from corpus.selectors import label_set_current, labels_of, project_allows
from inference.selectors import deployment_of
from labeling.selectors import progress_of, queue_rows, strata_waiting, texts_count
from labeling.selectors.names import naming
from labeling.selectors.overview import corrections_latest, pace_of, quality_of, unsure_of
from labeling.views.access import person_of, project_of


@require_safe
@login_required
def project(request: HttpRequest, slug: str) -> HttpResponse:
    """A project's home: what waits, how fast and how well it goes, what the champion is unsure of."""
    found = project_of(request, slug)
    name = naming(project=found, viewer=person_of(request))
    progress = progress_of(project=found, user=person_of(request))
    champion = deployment_of(found)
    labels = labels_of(label_set=label_set_current(project=found))
    context = {
        "project": found,
        "tab": "overview",
        "progress": progress,
        "percent_done": round(progress.share_done * 100),
        "strata": strata_waiting(project=found),
        "pace": pace_of(project=found),
        "champion": champion,
        "quality": quality_of(project=found, version=champion.version) if champion else None,
        "unsure": unsure_of(project=found),
        "labels": labels,
        "hues": {label.name: label.hue for label in labels},
        "documents": sum(texts_count(project=found).values()),
        "queue": queue_rows(project=found, user=person_of(request), limit=6),
        "corrections": [
            (name(correction.author) or correction.by, correction)
            for correction in corrections_latest(project=found)
        ],
        "may_review": project_allows(project=found, user=person_of(request), permission="review"),
    }
    return render(request, "labeling/project.html", context)
