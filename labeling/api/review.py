"""The workbench's JSON: a signed-in person works on the tasks of a project."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api.access import ProjectView
from labeling.models import Task
from labeling.selectors import progress_of, queue_rows, task_get
from labeling.selectors.names import naming
from labeling.services import task_claim, task_release, task_renew, task_skip, task_submit
from labeling.workbench import correction_payload, task_payload

#: A day: a page left open over a weekend did not take the reviewer three days.
MILLISECONDS_LIMIT = 86_400_000


class NextBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which tasks the page has already."""

    besides: list[int] = []


class SubmitBody(msgspec.Struct, forbid_unknown_fields=True):
    """A reviewer's spans and where they started from."""

    spans: list[dict[str, Any]]
    base_number: int
    idempotency_key: str
    milliseconds: int = 0
    decisions_ms: dict[str, int] = {}


class SkipBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why a task is left."""

    reason: str


class TaskBased(ProjectView):
    """A view on one task of the project."""

    def task(self, task_id: int) -> Task:
        """The task of this project that the address names."""
        return task_get(project=self.project, task_id=task_id)


class NextView(TaskBased):
    """POST: claim the next task; `{"task": null}` when nothing waits."""

    body = NextBody

    def post(self, request: Request, slug: str) -> Response:
        body = cast(NextBody, request.data)
        task = task_claim(project=self.project, user=self.person, besides=body.besides)
        payload = task_payload(task=task, user=self.person) if task else None
        return Response({"task": payload})


class QueueView(ProjectView):
    """GET: the head of the queue and the progress."""

    def get(self, request: Request, slug: str) -> Response:
        rows = queue_rows(project=self.project, user=self.person)
        progress = progress_of(project=self.project, user=self.person)
        return Response({"rows": msgspec.to_builtins(rows), "progress": msgspec.to_builtins(progress)})


class TaskView(TaskBased):
    """GET: a task with the newest correction of its document."""

    def get(self, request: Request, slug: str, task_id: int) -> Response:
        return Response({"task": task_payload(task=self.task(task_id), user=self.person)})


class SubmitView(TaskBased):
    """POST: store the spans and close the task. Repeating it with the same key changes nothing."""

    body = SubmitBody
    body_limit = settings.LIMITS["feedback_body_bytes"]

    def post(self, request: Request, slug: str, task_id: int) -> Response:
        body = cast(SubmitBody, request.data)
        correction = task_submit(
            task=self.task(task_id),
            user=self.person,
            spans=body.spans,
            base_number=body.base_number,
            idempotency_key=body.idempotency_key,
            milliseconds=min(max(body.milliseconds, 0), MILLISECONDS_LIMIT),
            decisions_ms={
                key: min(max(value, 0), MILLISECONDS_LIMIT) for key, value in body.decisions_ms.items()
            },
        )
        name = naming(project=self.project, viewer=self.person)
        return Response({"correction": correction_payload(correction, name)})


class SkipView(TaskBased):
    """POST: close the task without a correction."""

    body = SkipBody

    def post(self, request: Request, slug: str, task_id: int) -> Response:
        body = cast(SkipBody, request.data)
        task_skip(task=self.task(task_id), user=self.person, reason=body.reason)
        return Response({"status": Task.Status.SKIPPED})


class RenewView(TaskBased):
    """POST: keep holding the task. `held` is false when it passed to somebody else."""

    def post(self, request: Request, slug: str, task_id: int) -> Response:
        return Response({"held": task_renew(task=self.task(task_id), user=self.person)})


class ReleaseView(TaskBased):
    """POST: give the task back to the queue."""

    def post(self, request: Request, slug: str, task_id: int) -> Response:
        return Response({"released": task_release(task=self.task(task_id), user=self.person)})
