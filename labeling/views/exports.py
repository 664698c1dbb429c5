"""Taking a file out, in the browser: choose, see what would be lost, write, download."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from corpus.errors import DomainError, NotFound
from corpus.models import Project
from corpus.selectors import project_allows
from feedback.models import Stratum
from inference.services.files import size_shown
from inference.wire import attachment
from labeling.job_state import job_listed, job_state, job_words
from labeling.models import ExportJob
from labeling.options import ExportOptions, export_formats, options_read
from labeling.selectors.transfer import job_get, jobs_latest
from labeling.services import export_cancel, export_losses, export_open, export_start
from labeling.services.exports import LOOK, LossReport
from labeling.views.access import person_of, project_of
from ner.formats import FORMATS


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def exports(request: HttpRequest, slug: str) -> HttpResponse:
    """The exports of a project; POST says what would be lost, or starts one."""
    found = project_of(request, slug, permission="export")
    options, report = ExportOptions(), None
    if request.method == "POST":
        try:
            options = _options(request)
            if request.POST.get("action") != "look":
                job = export_start(project=found, options=options, user=person_of(request))
                return redirect("labeling:export", slug, job.pk)
            report = export_losses(project=found, options=options, user=person_of(request))
        except DomainError as error:
            messages.error(request, error.detail)
    context = {
        "project": found,
        "tab": "transfer",
        "options": options,
        "report": _told(report),
        "formats": [FORMATS[name] for name in export_formats()],
        "strata": Stratum.choices,
        "jobs": [_listed(job) for job in jobs_latest(project=found, model=ExportJob)],
        "may_import": project_allows(project=found, user=person_of(request), permission="import"),
        "look": LOOK,
    }
    return render(request, "labeling/exports.html", context)


@require_safe
@never_cache
@login_required
def export_page(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """One export: how far it is, and what its file holds."""
    found = project_of(request, slug, permission="export")
    job = _job(found, job_id)
    context = {
        "project": found,
        "tab": "transfer",
        "job": job,
        "format": FORMATS.get(job.format),
        "words": job_words(job),
        "state": job_state(job),
        "size": size_shown(job.size_bytes),
    }
    return render(request, "labeling/export.html", context)


@require_safe
@never_cache
@login_required
def export_state(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """How far an export is, as JSON."""
    return JsonResponse(job_state(_job(project_of(request, slug, permission="export"), job_id)))


@require_POST
@login_required
def export_stop(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """Cancel an export."""
    job = _job(project_of(request, slug, permission="export"), job_id)
    try:
        export_cancel(job=job, user=person_of(request))
    except DomainError as error:
        messages.warning(request, error.detail)
    return redirect("labeling:export", slug, job_id)


@require_safe
@never_cache
@login_required
def export_file(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponseBase:
    """The written file, always as a download."""
    job = _job(project_of(request, slug, permission="export"), job_id)
    try:
        file = export_open(job=job, user=person_of(request))
    except DomainError as error:
        raise Http404 from error
    return attachment(FileResponse(file), job.file_name)


def _options(request: HttpRequest) -> ExportOptions:
    sent = request.POST
    return options_read(
        ExportOptions,
        {
            "format": sent.get("format", ""),
            "reviewed_only": sent.get("which", "reviewed") == "reviewed",
            "strata": sent.getlist("strata"),
            "since": f"{sent['since']}T00:00:00Z" if sent.get("since") else None,
            "predictions": "predictions" in sent,
        },
    )


def _told(report: LossReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    return {"losses": report.to_json(), "looked_at": report.looked_at, "format": FORMATS[report.format].title}


def _job(project: Project, job_id: UUID) -> ExportJob:
    try:
        return job_get(project=project, model=ExportJob, job_id=job_id)
    except NotFound as error:
        raise Http404 from error


def _listed(job: ExportJob) -> dict[str, Any]:
    address = reverse("labeling:export", args=[job.project.slug, job.pk])
    return job_listed(job, job.position, size_shown(job.size_bytes), address=address)
