"""`jobs`: bulk prediction of a file, behind the answer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, cast, get_args
from uuid import UUID

import msgspec
from django.conf import settings
from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from inference.authentication import Caller
from inference.errors import OptionRefused, OtherProject
from inference.formats import OffsetUnit, OutputFormat
from inference.job_options import JobOptions, options_read
from inference.models import ApiKey, PredictionJob
from inference.router import Demands, choose
from inference.selectors import job_get, jobs_page
from inference.services.job_ends import job_cancel
from inference.services.jobs import job_result, job_start
from inference.wire import FILE_BODY, PLAIN, KeyView, attachment, file_sent

_LISTED, _LISTED_MOST = 30, 100
_QUERY = OpenApiParameter.QUERY


class JobState(msgspec.Struct, kw_only=True):
    """How far a bulk prediction is."""

    id: UUID
    status: Annotated[
        str, Meta(description="`queued`, `running`, `done`, `failed` or `cancelled`.", examples=["running"])
    ]
    file_name: str
    format: Annotated[str, Meta(description="`jsonl`, `csv` or `text`, as it was found to be.")]
    model_version: Annotated[
        str,
        Meta(description="Chosen when the job was started; it answers every line.", examples=["flagship@1"]),
    ]
    percent: Annotated[int, Meta(ge=0, le=100, description="How much of the file is done, by its bytes.")]
    lines: Annotated[int, Meta(description="Lines answered so far, those with an error too.")]
    failed: Annotated[int, Meta(description="Of these, the ones that hold an error.")]
    size_bytes: int
    sha256: Annotated[str, Meta(description="Of the file as it came.")]
    result_bytes: int
    options: dict[str, Any]
    already_started: Annotated[
        bool, Meta(description="Was the job there before, under the same idempotency key?")
    ]
    error_code: str
    error: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    result_removed_at: Annotated[
        datetime | None,
        Meta(description="When the result was removed: it is answered with 410 now."),
    ]


class JobList(msgspec.Struct, kw_only=True):
    """The bulk predictions of the key's project, newest first."""

    jobs: list[JobState]
    next: Annotated[UUID | None, Meta(description="Ask for those before it with `before`; null at the end.")]


def _option(name: str, words: str, type: Any = str, **more: Any) -> OpenApiParameter:
    return OpenApiParameter(name, type, _QUERY, description=words, **more)


_OPTIONS = [
    _option("file_name", "What people will see, and by whose ending the format is found."),
    _option(
        "format",
        "`jsonl`: an object (or a string) a line; `csv`: a table with a header, cells divided by comma, "
        "semicolon or tabulator; `text`: one text a line.",
        enum=["auto", "jsonl", "csv", "text"],
        default="auto",
    ),
    _option("text_field", "The field or column that holds the texts.", default="text"),
    _option(
        "id_field",
        "The field or column that is told again with each answer, where there is one.",
        default="id",
    ),
    _option("project", "The key's own project; another is refused."),
    _option(
        "model",
        "As in `predict`: `auto`, a family, and with the scope `route` a slot or `name@number`.",
        default="auto",
    ),
    _option("language", "The language of the texts (`en`, `pt-BR`). It is recorded, never guessed."),
    _option(
        "output_format",
        "The form of each answer.",
        enum=list(get_args(OutputFormat)),
        default="entities_only",
    ),
    _option(
        "offset_unit", "What `start` and `end` count.", enum=list(get_args(OffsetUnit)), default="codepoint"
    ),
    _option("return_confidence", "Say how sure the model is.", bool, default=True),
    _option(
        "min_confidence",
        "Leave out entities below this, in addition to the labels' own bars.",
        float,
        default=0.0,
    ),
    _option("mask_pii", "Answer each text too, without its personal data.", bool, default=False),
    _option(
        "store", "Keep each text and answer as a prediction, for feedback and review.", bool, default=False
    ),
]
_KEY = OpenApiParameter(
    "Idempotency-Key",
    str,
    OpenApiParameter.HEADER,
    description="The same key with the same file and options is answered with the first job.",
)


class JobsView(KeyView):
    """Hand a file in, or list what was handed in."""

    scope = ApiKey.Scope.PREDICT

    @property
    def parameters(self) -> tuple[str, ...]:
        """What this method knows."""
        if self.request.method == "POST":
            return ("file_name", *JobOptions.__struct_fields__)
        return ("before", "limit")

    @extend_schema(
        operation_id="job_start",
        tags=["jobs"],
        description="The file is the body, or the field `file` of a form: UTF-8, one text a line. It is "
        "predicted behind this answer by the version that is chosen now; ask for the job by its id. A line "
        "that cannot be read is answered with an error in its place and fails no other. Costs one of the "
        "hour's texts, however long the file.",
        request=FILE_BODY,
        responses={200: JobState, 201: JobState},
        parameters=[*_OPTIONS, _KEY],
    )
    def post(self, request: Request) -> Response:
        caller = cast(Caller, request.user)
        query = request.query_params
        options = options_read({name: query[name] for name in query if name != "file_name"})
        if options.project is not None and options.project != caller.key.project.slug:
            raise OtherProject(pointer="/project")
        # A whole file is no share of the traffic: `auto` is the champion, or what stands in for it.
        choice = choose(
            project=caller.key.project,
            model=options.model,
            scopes=caller.scopes,
            demands=Demands(strategy="performance"),
        )
        name, chunks = file_sent(request, limit=settings.LIMITS["job_bytes"])
        job, was_there = job_start(
            api_key=caller.key,
            file_name=name,
            chunks=chunks,
            options=options,
            version=choice.serving.version,
            slot=choice.serving.slot,
            rules=caller.rules,
            idempotency_key=request.headers.get("Idempotency-Key", ""),
        )
        return Response(_state(job, was_there=was_there), status=200 if was_there else 201)

    @extend_schema(
        operation_id="job_list",
        tags=["jobs"],
        responses=JobList,
        parameters=[
            _option("limit", f"How many, 1 to {_LISTED_MOST}.", int, default=_LISTED),
            _option("before", "The `next` of the page before.", UUID),
        ],
    )
    def get(self, request: Request) -> Response:
        limit, before = _page(request)
        found = jobs_page(project=self.key(request).project, before=before, limit=limit + 1)
        shown = found[:limit]
        return Response(
            JobList(
                jobs=[_state(job) for job in shown], next=shown[-1].pk if len(found) > len(shown) else None
            )
        )


class JobView(KeyView):
    """One bulk prediction."""

    scope = ApiKey.Scope.PREDICT

    @extend_schema(operation_id="job_read", tags=["jobs"], responses=JobState)
    def get(self, request: Request, job_id: UUID) -> Response:
        return Response(_state(job_get(project=self.key(request).project, job_id=job_id)))


class JobCancelView(KeyView):
    """Stop a bulk prediction; its file and what was answered of it are removed."""

    scope = ApiKey.Scope.PREDICT

    @extend_schema(operation_id="job_cancel", tags=["jobs"], request=None, responses=JobState)
    def post(self, request: Request, job_id: UUID) -> Response:
        self.nothing_sent(request)
        key = self.key(request)
        job = job_get(project=key.project, job_id=job_id)
        return Response(_state(job_cancel(job=job, api_key=key)))


_RESULT = (
    '{"line": 1, "id": "a", "status": "ok", "model_version": "flagship@1", "entities": ['
    '{"text": "Ada Lovelace", "type": "per", "start": 0, "end": 12, "confidence": 0.9871}]}\n'
    '{"line": 2, "status": "error", "error": {"code": "malformed_json", "detail": "..."}}\n'
)


class JobResultView(KeyView):
    """The result of a bulk prediction, once it is done."""

    scope = ApiKey.Scope.PREDICT

    @extend_schema(
        operation_id="job_result",
        tags=["jobs"],
        description="JSON Lines in the order of the file: each line names the line of the file that it "
        "answers and its id, and holds what was found, or an error. Blank lines have no answer.",
        responses={(200, PLAIN): OpenApiTypes.BINARY},
        examples=[
            OpenApiExample("A good line and a bad one", value=_RESULT, media_type=PLAIN, response_only=True)
        ],
    )
    def get(self, request: Request, job_id: UUID) -> HttpResponseBase:
        key = self.key(request)
        job = job_get(project=key.project, job_id=job_id)
        result = job_result(job=job, api_key=key)
        response = StreamingHttpResponse(result.pieces)
        response["Content-Length"] = str(result.size_bytes)
        return attachment(response, f"{job.file_name.rpartition('.')[0] or job.file_name}.result.jsonl")


def _page(request: Request) -> tuple[int, UUID | None]:
    query = request.query_params
    try:
        limit = int(query.get("limit", _LISTED))
        before = UUID(query["before"]) if "before" in query else None
    except ValueError:
        raise OptionRefused(problem="limit is a number, and before the id of a job.") from None
    if not 1 <= limit <= _LISTED_MOST:
        raise OptionRefused(pointer="/limit", problem=f"limit is a number from 1 to {_LISTED_MOST}.")
    return limit, before


def _state(job: PredictionJob, *, was_there: bool = False) -> JobState:
    return JobState(
        id=job.pk,
        status=job.status,
        file_name=job.file_name,
        format=job.layout["format"],
        model_version=str(job.version),
        percent=job.percent,
        lines=job.lines,
        failed=job.failed,
        size_bytes=job.size_bytes,
        sha256=job.sha256,
        result_bytes=job.result_bytes,
        options=job.options,
        already_started=was_there,
        error_code=job.error_code,
        error=job.error,
        created_at=job.created_at,
        started_at=job.started_at,
        ended_at=job.ended_at,
        result_removed_at=job.file_removed_at,
    )
