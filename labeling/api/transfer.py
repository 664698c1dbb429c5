"""`imports` and `exports` for machines: a file in, a file out, and how far each is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import FileResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from inference.models import ApiKey
from inference.wire import FILE_BODY, PLAIN, KeyView, attachment, exchange, file_sent
from labeling.errors import OptionUnknown
from labeling.models import ExportJob, ImportJob
from labeling.options import ExportOptions, ImportOptions, import_formats, options_read
from labeling.selectors.transfer import job_get
from labeling.services import (
    export_cancel,
    export_open,
    export_start,
    import_cancel,
    import_start,
    import_upload,
)

_ERRORS_TOLD = 100
_FLAGS = ("keep_good_rows", "texts_only", "repair", "dry_run")


class BadRow(msgspec.Struct, kw_only=True):
    """One record that cannot be stored: its line, a stable code, and words."""

    place: int
    code: str
    problem: str


class ImportStatus(msgspec.Struct, kw_only=True):
    """How far an import is. `errors` are the first bad records; `error_count` counts all of them."""

    id: UUID
    status: str
    file_name: str
    format: str
    is_dry_run: bool
    already_imported: bool
    position: int
    total: int | None
    counts: dict[str, int]
    labels: dict[str, int]
    errors: list[BadRow]
    error_count: int
    error_code: str
    error: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class LossLine(msgspec.Struct, kw_only=True):
    """Something that the format could not carry: how often, and of which documents, for example."""

    code: str
    words: str
    count: int
    documents: list[str]


class ExportStatus(msgspec.Struct, kw_only=True):
    """How far an export is, and what its file holds. Offsets in it count code points."""

    id: UUID
    status: str
    file_name: str
    format: str
    position: int
    total: int | None
    size_bytes: int
    sha256: str
    label_set_revision: int | None
    losses: list[LossLine]
    error_code: str
    error: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


def _flag(name: str, words: str) -> OpenApiParameter:
    return OpenApiParameter(name, bool, OpenApiParameter.QUERY, description=words)


class ImportsView(KeyView):
    """Bring a file in."""

    scope = ApiKey.Scope.IMPORT
    parameters = ("file_name", "format", "labels", "fields", "source", *_FLAGS)

    @extend_schema(
        operation_id="import_start",
        tags=["transfer"],
        description="The file is the body, or the field `file` of a form. It is checked as a whole and then "
        "stored, behind this answer; ask for the import by its id. The same file with the same options again "
        "is answered with the import that did it.",
        request=FILE_BODY,
        responses={200: ImportStatus, 201: ImportStatus},
        parameters=[
            OpenApiParameter("file_name", str, OpenApiParameter.QUERY, description="What people will see."),
            OpenApiParameter(
                "format", str, OpenApiParameter.QUERY, enum=["auto", *import_formats()], default="auto"
            ),
            OpenApiParameter(
                "labels",
                str,
                OpenApiParameter.QUERY,
                description='What becomes of labels, as JSON: `{"PERSON": "per", "MISC": null}`.',
            ),
            OpenApiParameter(
                "fields",
                str,
                OpenApiParameter.QUERY,
                description="Which fields of JSON Lines or of a table hold what, as JSON: "
                '`{"text": "content", "id": "doc_id", "spans": null}`; of spans `start`, `end`, `label`.',
            ),
            OpenApiParameter("source", str, OpenApiParameter.QUERY, description="Who marked the spans."),
            _flag("keep_good_rows", "Leave bad records out instead of refusing the file."),
            _flag("texts_only", "Leave all labels behind."),
            _flag("repair", "Mend invalid tag sequences."),
            _flag("dry_run", "Say what would be stored; store nothing."),
        ],
    )
    def post(self, request: Request) -> Response:
        key = self.key(request)
        options, dry_run = _options(request.query_params)
        name, chunks = file_sent(request, limit=settings.LIMITS["upload_bytes"])
        job = import_upload(project=key.project, file_name=name, chunks=chunks, api_key=key)
        job, was_there = import_start(job=job, options=options, dry_run=dry_run, api_key=key)
        return Response(_import_status(job, was_there=was_there), status=200 if was_there else 201)


class ImportView(KeyView):
    """One import."""

    scope = ApiKey.Scope.IMPORT

    @extend_schema(operation_id="import_read", tags=["transfer"], responses=ImportStatus)
    def get(self, request: Request, job_id: UUID) -> Response:
        job = job_get(project=self.key(request).project, model=ImportJob, job_id=job_id)
        return Response(_import_status(job))


class ImportCancelView(KeyView):
    """Stop an import; what is stored of it stays."""

    scope = ApiKey.Scope.IMPORT

    @extend_schema(operation_id="import_cancel", tags=["transfer"], request=None, responses=ImportStatus)
    def post(self, request: Request, job_id: UUID) -> Response:
        self.nothing_sent(request)
        key = self.key(request)
        job = job_get(project=key.project, model=ImportJob, job_id=job_id)
        return Response(_import_status(import_cancel(job=job, api_key=key)))


class ExportsView(KeyView):
    """Take a file out."""

    scope = ApiKey.Scope.EXPORT
    body = ExportOptions

    @extend_schema(
        operation_id="export_start",
        tags=["transfer"],
        request=ExportOptions,
        responses={201: ExportStatus},
        examples=exchange(
            "What was reviewed, for spaCy",
            asked={"format": "spacy", "reviewed_only": True},
            answered={
                "id": "0f1d3c1e-7d5c-4a39-8a52-0f3f6a1f2b11",
                "status": "queued",
                "file_name": "demo.spacy",
                "format": "spacy",
                "position": 0,
                "total": None,
                "size_bytes": 0,
                "sha256": "",
                "label_set_revision": None,
                "losses": [],
                "error_code": "",
                "error": "",
                "created_at": "2026-11-26T04:12:14Z",
                "started_at": None,
                "ended_at": None,
            },
            status=201,
        ),
    )
    def post(self, request: Request) -> Response:
        key = self.key(request)
        # An empty body means every default.
        options = cast(ExportOptions, request.data) if request.data else ExportOptions()
        job = export_start(project=key.project, options=options, api_key=key)
        return Response(_export_status(job), status=201)


class ExportView(KeyView):
    """One export."""

    scope = ApiKey.Scope.EXPORT

    @extend_schema(operation_id="export_read", tags=["transfer"], responses=ExportStatus)
    def get(self, request: Request, job_id: UUID) -> Response:
        job = job_get(project=self.key(request).project, model=ExportJob, job_id=job_id)
        return Response(_export_status(job))


class ExportCancelView(KeyView):
    """Stop an export."""

    scope = ApiKey.Scope.EXPORT

    @extend_schema(operation_id="export_cancel", tags=["transfer"], request=None, responses=ExportStatus)
    def post(self, request: Request, job_id: UUID) -> Response:
        self.nothing_sent(request)
        key = self.key(request)
        job = job_get(project=key.project, model=ExportJob, job_id=job_id)
        return Response(_export_status(export_cancel(job=job, api_key=key)))


class ExportFileView(KeyView):
    """The file of an export, once it is written."""

    scope = ApiKey.Scope.EXPORT

    @extend_schema(
        operation_id="export_file",
        tags=["transfer"],
        responses={(200, PLAIN): OpenApiTypes.BINARY},
    )
    def get(self, request: Request, job_id: UUID) -> HttpResponseBase:
        key = self.key(request)
        job = job_get(project=key.project, model=ExportJob, job_id=job_id)
        return attachment(FileResponse(export_open(job=job, api_key=key)), job.file_name)


def _options(query: Mapping[str, str]) -> tuple[ImportOptions, bool]:
    flags = {name: _is_set(name, query[name]) for name in _FLAGS if name in query}
    dry_run = flags.pop("dry_run", False)
    values: dict[str, Any] = {name: query[name] for name in ("format", "source") if name in query}
    for name in ("labels", "fields"):
        if name in query:
            try:
                values[name] = msgspec.json.decode(query[name])
            except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
                raise OptionUnknown(pointer=f"/{name}", problem=f"{name} is not JSON.") from error
    return options_read(ImportOptions, {**values, **flags}), dry_run


def _is_set(name: str, value: str) -> bool:
    if value not in ("true", "false"):
        raise OptionUnknown(pointer=f"/{name}", problem=f"{name} is true or false.")
    return value == "true"


def _import_status(job: ImportJob, *, was_there: bool = False) -> ImportStatus:
    return ImportStatus(
        id=job.pk,
        status=job.status,
        file_name=job.file_name,
        format=job.format,
        is_dry_run=job.is_dry_run,
        already_imported=was_there,
        position=job.position,
        total=job.total,
        counts=job.counts,
        labels=job.findings.get("labels", {}),
        errors=[BadRow(**error) for error in job.errors[:_ERRORS_TOLD]],
        error_count=job.error_count,
        error_code=job.error_code,
        error=job.error,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
    )


def _export_status(job: ExportJob) -> ExportStatus:
    return ExportStatus(
        id=job.pk,
        status=job.status,
        file_name=job.file_name,
        format=job.format,
        position=job.position,
        total=job.total,
        size_bytes=job.size_bytes,
        sha256=job.sha256,
        label_set_revision=job.manifest.get("label_set_revision"),
        losses=[LossLine(**loss) for loss in job.losses],
        error_code=job.error_code,
        error=job.error,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
    )
