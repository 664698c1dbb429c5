"""`rollouts`: which version is on its way to callers, how far, and why; and a person's hand in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from drf_spectacular.utils import extend_schema
from msgspec import Meta, Struct
from rest_framework.request import Request
from rest_framework.response import Response

from audit.services import Actor
from corpus.errors import FieldRequired, NotFound
from inference.models import ApiKey
from inference.selectors import version_named
from inference.wire import KeyView
from retraining.api import examples
from retraining.models import Rollout
from retraining.selectors import rollouts_of
from retraining.services import (
    rollout_approve,
    rollout_pause,
    rollout_resume,
    rollout_roll_back,
    rollout_start,
)

_LISTED = 50
#: PostgreSQL keeps no U+0000.
_STORABLE = "^[^\\u0000]*$"
Reason = Annotated[
    str, Meta(max_length=500, pattern=_STORABLE, description="Why; it is kept in the audit log.")
]


class RolloutRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """A version to be brought to callers."""

    version: Annotated[str, Meta(min_length=1, max_length=100, pattern=_STORABLE, examples=["demo@7"])]
    reason: Reason


class RolloutAct(Struct, forbid_unknown_fields=True, kw_only=True):
    """A person's hand in a rollout."""

    reason: Reason = ""


class RolloutFinding(Struct, kw_only=True):
    """One criterion of the present step: what was measured, what is asked, and what follows."""

    code: str
    state: Annotated[str, Meta(description="`met`, `waiting`, `held` (the machine is slow) or `broken`.")]
    words: str
    value: float | None
    limit: float | None
    samples: int
    low: float | None
    high: float | None
    seconds_left: float | None


class RolloutStep(Struct, kw_only=True):
    """One thing that happened to a rollout."""

    at: datetime
    kind: str
    by: str
    share_before: float
    share: float
    reason: str
    findings: list[RolloutFinding]


class RolloutSummary(Struct, kw_only=True):
    """Where a rollout is."""

    id: int
    version: str
    champion: str
    status: str
    share: Annotated[float, Meta(description="Percent of the callers.")]
    steps: list[float]
    next_share: float | None
    reason: str
    outcome: str
    waits_for: str
    seconds_left: Annotated[
        float | None, Meta(description="Until the next step at the present rate; null where nobody can say.")
    ]
    generation: int
    started_by: str
    started_at: datetime
    step_started_at: datetime
    checked_at: datetime | None
    ended_at: datetime | None


class RolloutDetail(RolloutSummary, kw_only=True):
    """A rollout with what is measured of its step, and all that happened to it."""

    plan: dict[str, Any]
    findings: list[RolloutFinding]
    events: list[RolloutStep]


class RolloutList(Struct, kw_only=True):
    """A project's rollouts, newest first."""

    rollouts: list[RolloutSummary]


class RolloutsView(KeyView):
    """The project's rollouts, and a new one."""

    body = RolloutRequest

    @property
    def scope(self) -> str:
        """Looking is for whoever reads versions; moving callers is not."""
        return ApiKey.Scope.TRAFFIC if self.request.method == "POST" else ApiKey.Scope.MODELS

    @extend_schema(operation_id="rollouts_list", tags=["rollouts"], responses=RolloutList)
    def get(self, request: Request) -> Response:
        found = rollouts_of(project=self.key(request).project)[:_LISTED]
        return Response(RolloutList(rollouts=[RolloutSummary(**_summary(one)) for one in found]))

    @extend_schema(
        operation_id="rollout_start",
        tags=["rollouts"],
        request=RolloutRequest,
        responses={201: RolloutDetail},
        examples=examples.ROLL_OUT,
    )
    def post(self, request: Request) -> Response:
        key, asked = self.key(request), request.data
        if not asked:
            raise FieldRequired(pointer="/version", field="version")
        rollout = rollout_start(
            project=key.project,
            version=version_named(key.project, asked.version),
            actor=Actor.of_key(key.pk, key.name),
            reason=asked.reason,
        )
        return Response(_detail(rollout), status=201)


class RolloutView(KeyView):
    """One rollout."""

    scope = ApiKey.Scope.MODELS

    @extend_schema(operation_id="rollout_read", tags=["rollouts"], responses=RolloutDetail)
    def get(self, request: Request, rollout_id: int) -> Response:
        return Response(_detail(_rollout(request, rollout_id)))


class _ActView(KeyView):
    """What the acts on a rollout share."""

    scope = ApiKey.Scope.TRAFFIC
    body = RolloutAct
    act: Callable[..., Rollout]

    def done(self, request: Request, rollout_id: int) -> Response:
        """The rollout after it."""
        key = self.key(request)
        rollout = type(self).act(
            rollout=_rollout(request, rollout_id),
            actor=Actor.of_key(key.pk, key.name),
            reason=request.data.reason if request.data else "",
        )
        return Response(_detail(rollout))


class RolloutApproveView(_ActView):
    """Let a rollout that waits for approval go its next step."""

    act = staticmethod(rollout_approve)

    @extend_schema(
        operation_id="rollout_approve",
        tags=["rollouts"],
        request=RolloutAct,
        responses=RolloutDetail,
        examples=examples.APPROVE,
    )
    def post(self, request: Request, rollout_id: int) -> Response:
        return self.done(request, rollout_id)


class RolloutPauseView(_ActView):
    """Keep a rollout at its step."""

    act = staticmethod(rollout_pause)

    @extend_schema(
        operation_id="rollout_pause",
        tags=["rollouts"],
        request=RolloutAct,
        responses=RolloutDetail,
        examples=examples.PAUSE,
    )
    def post(self, request: Request, rollout_id: int) -> Response:
        return self.done(request, rollout_id)


class RolloutResumeView(_ActView):
    """Let a paused rollout go on."""

    act = staticmethod(rollout_resume)

    @extend_schema(
        operation_id="rollout_resume",
        tags=["rollouts"],
        request=RolloutAct,
        responses=RolloutDetail,
        examples=examples.RESUME,
    )
    def post(self, request: Request, rollout_id: int) -> Response:
        return self.done(request, rollout_id)


class RolloutRollBackView(_ActView):
    """Take the version back."""

    act = staticmethod(rollout_roll_back)

    @extend_schema(
        operation_id="rollout_roll_back",
        tags=["rollouts"],
        request=RolloutAct,
        responses=RolloutDetail,
        examples=examples.TAKE_BACK,
    )
    def post(self, request: Request, rollout_id: int) -> Response:
        return self.done(request, rollout_id)


def _rollout(request: Request, rollout_id: int) -> Rollout:
    key: Any = request.auth
    # A larger number than the column holds would be an error of the database.
    rollout = rollouts_of(project=key.project).filter(pk=rollout_id).first() if rollout_id < 2**63 else None
    if rollout is None:
        raise NotFound()
    return rollout


def _summary(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.pk,
        "version": str(rollout.version),
        "champion": str(rollout.champion),
        "status": rollout.status,
        "share": rollout.share,
        "steps": rollout.steps,
        "next_share": rollout.next_share if rollout.is_unfinished else None,
        "reason": rollout.reason,
        "outcome": rollout.outcome,
        "waits_for": rollout.waits_for,
        "seconds_left": rollout.seconds_left,
        "generation": rollout.generation,
        "started_by": rollout.started_by,
        "started_at": rollout.started_at,
        "step_started_at": rollout.step_started_at,
        "checked_at": rollout.checked_at,
        "ended_at": rollout.ended_at,
    }


def _detail(rollout: Rollout) -> RolloutDetail:
    return RolloutDetail(
        **_summary(rollout),
        plan=rollout.plan,
        findings=[RolloutFinding(**one) for one in rollout.findings],
        events=[
            RolloutStep(
                at=event.at,
                kind=event.kind,
                by=event.by,
                share_before=event.share_before,
                share=event.share,
                reason=event.reason,
                findings=[RolloutFinding(**one) for one in event.findings],
            )
            for event in rollout.events.all()
        ],
    )
