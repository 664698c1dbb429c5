"""The JSON of adjudication."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response

from labeling.api.access import ProjectView
from labeling.api.review import MILLISECONDS_LIMIT
from labeling.selectors import task_get
from labeling.selectors.names import naming
from labeling.services.adjudication import task_adjudicate
from labeling.workbench import correction_payload


class DecisionBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is true of the text, and which correction the adjudicator started from."""

    spans: list[dict[str, Any]]
    base_number: int
    idempotency_key: str
    milliseconds: int = 0


class AdjudicateView(ProjectView):
    """POST: store what was decided. Repeating it with the same key changes nothing."""

    permission = "adjudicate"
    body = DecisionBody
    body_limit = settings.LIMITS["feedback_body_bytes"]

    def post(self, request: Request, slug: str, task_id: int) -> Response:
        body = cast(DecisionBody, request.data)
        correction = task_adjudicate(
            task=task_get(project=self.project, task_id=task_id),
            user=self.person,
            spans=body.spans,
            base_number=body.base_number,
            idempotency_key=body.idempotency_key,
            milliseconds=min(max(body.milliseconds, 0), MILLISECONDS_LIMIT),
        )
        name = naming(project=self.project, viewer=self.person)
        return Response({"correction": correction_payload(correction, name)})
