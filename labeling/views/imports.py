"""Bringing a file in, in the browser: send it, look at it, try it, store it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from corpus.errors import DomainError, NotFound
from corpus.models import Project
from corpus.selectors import label_set_current, labels_of, project_allows
from inference.errors import FileNameMissing, FileTooLarge
from inference.services.files import CHUNK, chunks_of, size_shown
from inference.wire import attachment
from labeling.job_state import job_listed, job_state, job_words
from labeling.models import ImportJob, JobStatus
from labeling.options import ImportOptions, import_formats, options_read
from labeling.selectors.transfer import job_get, jobs_latest
from labeling.services import import_cancel, import_start, import_upload
from labeling.services.preview import NOWHERE, Preview, import_preview, label_name_clean
from labeling.views.access import person_of, project_of
from ner.formats import FORMATS
from ner.formats.fields import KEYS, PARTS

#: What a form sends for a label that is left out, or that the project is to get.
_LEAVE_OUT, _CREATE = "", " "


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def imports(request: HttpRequest, slug: str) -> HttpResponse:
    """The imports of a project; POST takes a file in: a form's, or the body itself with its name beside."""
    if request.method == "POST":
        return _upload(request, project_of(request, slug, permission="import"))
    found = project_of(request, slug, permission="export")
    may_import = project_allows(project=found, user=person_of(request), permission="import")
    jobs = jobs_latest(project=found, model=ImportJob)
    context = {
        "project": found,
        "tab": "transfer",
        "jobs": [_listed(job, may_import=may_import) for job in jobs],
        "may_import": may_import,
        "limit": size_shown(settings.LIMITS["upload_bytes"]),
        "limit_bytes": settings.LIMITS["upload_bytes"],
        "formats": [FORMATS[name] for name in import_formats()],
    }
    return render(request, "labeling/imports.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def import_page(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """One file: what is in it, what becomes of it, how far it is; POST starts it or looks at it anew."""
    found = project_of(request, slug, permission="import")
    job = _job(found, job_id)
    options = options_read(ImportOptions, job.options)
    if request.method == "POST":
        try:
            options = _options(request, found)
            if request.POST.get("action") != "look":
                return _start(request, job, options)
        except DomainError as error:
            messages.error(request, error.detail)
    is_open = not job.is_active and job.status != JobStatus.DONE and job.file_removed_at is None
    context = {
        "project": found,
        "tab": "transfer",
        "job": job,
        "words": job_words(job),
        "state": job_state(job),
        "is_open": is_open,
        "preview": _preview(request, job, options) if is_open else None,
        "options": options,
        "labels": labels_of(label_set=label_set_current(project=found)),
        "hues": {label.name: label.hue for label in labels_of(label_set=label_set_current(project=found))},
        "formats": [FORMATS[name] for name in import_formats()],
        "may_manage": project_allows(project=found, user=person_of(request), permission="manage"),
        "size": size_shown(job.size_bytes),
        "errors": job.errors[:20],
    }
    return render(request, "labeling/import.html", context)


@require_safe
@never_cache
@login_required
def import_state(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """How far an import is, as JSON."""
    return JsonResponse(job_state(_job(project_of(request, slug, permission="import"), job_id)))


@require_POST
@login_required
def import_stop(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponse:
    """Cancel an import."""
    job = _job(project_of(request, slug, permission="import"), job_id)
    try:
        import_cancel(job=job, user=person_of(request))
    except DomainError as error:
        messages.warning(request, error.detail)
    return redirect("labeling:import", slug, job_id)


@require_safe
@never_cache
@login_required
def import_errors(request: HttpRequest, slug: str, job_id: UUID) -> HttpResponseBase:
    """The bad rows of a file, as a table to be opened elsewhere."""
    job = _job(project_of(request, slug, permission="import"), job_id)
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["line", "code", "problem"])
    rows.writerows((error["place"], error["code"], harmless(error["problem"])) for error in job.errors)
    return attachment(HttpResponse(table.getvalue()), "errors.csv")


def harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _upload(request: HttpRequest, project: Project) -> HttpResponse:
    is_form = request.content_type == "multipart/form-data"
    try:
        name, chunks = _form_file(request) if is_form else _body(request)
        job = import_upload(project=project, file_name=name, chunks=chunks, user=person_of(request))
    except DomainError as error:
        if not is_form:
            return JsonResponse({"code": error.code, "detail": error.detail}, status=error.status)
        messages.error(request, error.detail)
        return redirect("labeling:imports", project.slug)
    url = reverse("labeling:import", args=[project.slug, job.pk])
    return redirect(url) if is_form else JsonResponse({"url": url}, status=201)


def _form_file(request: HttpRequest) -> tuple[str, Iterable[bytes]]:
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        raise FileNameMissing(pointer="/file")
    return file.name or "", file.chunks(CHUNK)


def _body(request: HttpRequest) -> tuple[str, Iterable[bytes]]:
    limit, size = settings.LIMITS["upload_bytes"], int(request.META.get("CONTENT_LENGTH") or 0)
    if size > limit:
        raise FileTooLarge(limit=size_shown(limit), size=size_shown(size))
    return unquote(request.headers.get("X-File-Name", "")), chunks_of(request)


def _start(request: HttpRequest, job: ImportJob, options: ImportOptions) -> HttpResponse:
    started, was_there = import_start(
        job=job,
        options=options,
        dry_run=request.POST.get("action") == "try",
        user=person_of(request),
    )
    if was_there:
        messages.info(
            request, _("This file was imported before, with the same choices: this is that import.")
        )
    return redirect("labeling:import", job.project.slug, started.pk)


def _options(request: HttpRequest, project: Project) -> ImportOptions:
    """The choices of the form."""
    sent = request.POST
    names = {label.name for label in labels_of(label_set=label_set_current(project=project))}
    labels: dict[str, str | None] = {}
    creates = False
    for name, choice in zip(sent.getlist("label"), sent.getlist("to"), strict=False):
        to = label_name_clean(name) if choice == _CREATE else choice
        creates = creates or (choice == _CREATE and to not in names)
        if choice == _LEAVE_OUT:
            labels[name] = None
        elif to != name:
            labels[name] = to
    return options_read(
        ImportOptions,
        {
            "format": sent.get("format", "auto"),
            "labels": labels,
            "fields": _fields(sent),
            "create_labels": creates,
            "keep_good_rows": "keep_good_rows" in sent,
            "texts_only": "texts_only" in sent,
            "repair": "repair" in sent,
            "source": sent.get("source", "").strip(),
        },
    )


def _fields(sent: QueryDict) -> dict[str, str | None]:
    """The fields that were chosen, unless another format was chosen with them: they were the old one's."""
    if sent.get("fields_of") != sent.get("format"):
        return {}
    choices = {part: sent.get(f"field_{part}", "") for part in (*PARTS, *KEYS)}
    return {part: None if choice == NOWHERE else choice for part, choice in choices.items() if choice}


def _preview(request: HttpRequest, job: ImportJob, options: ImportOptions) -> Preview | None:
    try:
        return import_preview(job=job, options=options, user=person_of(request))
    except DomainError as error:
        messages.error(request, error.detail)
        return None


def _job(project: Project, job_id: UUID) -> ImportJob:
    try:
        return job_get(project=project, model=ImportJob, job_id=job_id)
    except NotFound as error:
        raise Http404 from error


def _listed(job: ImportJob, *, may_import: bool) -> dict[str, Any]:
    address = reverse("labeling:import", args=[job.project.slug, job.pk]) if may_import else ""
    return job_listed(job, job.counts.get("new"), job.counts.get("corrected"), address=address)
