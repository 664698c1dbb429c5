"""`GET retraining/why`: why the project's champion is serving."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from corpus.errors import NotFound
from inference.models import ApiKey
from inference.wire import KeyView
from retraining.why import Why, why_serving


class Move(msgspec.Struct, kw_only=True):
    """One change of the champion, as the audit log has it."""

    at: datetime
    by: str
    action: Annotated[str, Meta(examples=["version.promote"])]
    previous: Annotated[str | None, Meta(description="Who answered before; null for nobody.")]
    model_version: str
    reason: str


class Attempted(msgspec.Struct, kw_only=True):
    """Something that was tried since the champion came, and why it did not take its place."""

    at: datetime
    kind: Annotated[str, Meta(description="`run`, `rollout` or `experiment`.")]
    id: int
    model_version: str | None
    outcome: str
    reasons: list[str]


class Explanation(msgspec.Struct, kw_only=True):
    """Why the champion of the key's project is serving."""

    model_version: str
    since: datetime
    sentences: Annotated[list[str], Meta(description="The answer in plain words, the weightiest first.")]
    run: Annotated[int | None, Meta(description="The training that made it.")]
    verdict: Annotated[dict[str, Any] | None, Meta(description="The gate's, with its reasons.")]
    attempts: Annotated[list[Attempted], Meta(description="The newest 20, newest first.")]
    moves: Annotated[list[Move], Meta(description="The newest 20 changes of the champion, newest first.")]


class WhyView(KeyView):
    """Why is this model serving?"""

    scope = ApiKey.Scope.MODELS

    @extend_schema(operation_id="why_serving", tags=["models"], responses=Explanation)
    def get(self, request: Request) -> Response:
        why = why_serving(project=self.key(request).project)
        if why is None:
            raise NotFound()
        return Response(_body(why))


def _body(why: Why) -> Explanation:
    return Explanation(
        model_version=str(why.version),
        since=why.deployment.changed_at,
        sentences=why.sentences,
        run=why.run.pk if why.run else None,
        verdict=why.run.verdict if why.run else None,
        attempts=[
            Attempted(
                at=one.at,
                kind=one.kind,
                id=one.id,
                model_version=str(one.version) if one.version else None,
                outcome=one.outcome,
                reasons=list(one.reasons),
            )
            for one in why.attempts
        ],
        moves=[
            Move(
                at=move.at,
                by=move.actor_name,
                action=move.action,
                previous=move.data.get("from"),
                model_version=move.data["to"],
                reason=move.reason,
            )
            for move in why.moves
        ],
    )
