"""`rollouts`: which version is on its way to callers, how far, and why; and a person's hand in it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from drf_spectacular.utils import extend_schema
from msgspec import Meta, Struct
from rest_framework.request import Request
from rest_framework.response import Response

from audit.services import Actor
from corpus.errors import FieldRequired
from corpus.said import say, say_kept
from inference.models import ApiKey
from inference.selectors import version_named
from inference.wire import KeyView
from retraining.api import examples
from retraining.api.acts import STORABLE, Act, ActView, Reason
from retraining.models import Rollout
from retraining.selectors import rollouts_of, row_numbered
from retraining.services import (
    rollout_approve,
    rollout_pause,
    rollout_resume,
    rollout_roll_back,
    rollout_start,
)

_LISTED = 50


class RolloutRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """A version to be brought to callers."""

    version: Annotated[str, Meta(min_length=1, max_length=100, pattern=STORABLE, examples=["demo@7"])]
    reason: Reason


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
        return Response(_detail(row_numbered(rollouts_of(project=self.key(request).project), rollout_id)))


class _RolloutAct(ActView):
    noun = "rollout"
    rows = staticmethod(rollouts_of)

    @staticmethod
    def tell(rollout: Rollout) -> RolloutDetail:
        """The rollout as it is after it."""
        return _detail(rollout)


class RolloutApproveView(_RolloutAct):
    """Let a rollout that waits for approval go its next step."""

    act = staticmethod(rollout_approve)

    @extend_schema(
        operation_id="rollout_approve",
        tags=["rollouts"],
        request=Act,
        responses=RolloutDetail,
        examples=examples.APPROVE,
    )
    def post(self, request: Request, rollout_id: int) -> Response:
        return self.done(request, rollout_id)


class RolloutPauseView(_RolloutAct):
    """Keep a rollout at its step."""

    act = staticmethod(rollout_pause)

    @extend_schema(
        operation_id="rollout_pause",
        tags=["rollouts"],
        request=Act,
        responses=RolloutDetail,
        examples=examples.PAUSE,
    )
    def post(self, request: Request, rollout_id: int) -> Response:
        return self.done(request, rollout_id)


class RolloutResumeView(_RolloutAct):
    """Let a paused rollout go on."""

    act = staticmethod(rollout_resume)

    @extend_schema(
        operation_id="rollout_resume",
        tags=["rollouts"],
        request=Act,
        responses=RolloutDetail,
        examples=examples.RESUME,
    )
    def post(self, request: Request, rollout_id: int) -> Response:
        return self.done(request, rollout_id)


class RolloutRollBackView(_RolloutAct):
    """Take the version back."""

    act = staticmethod(rollout_roll_back)

    @extend_schema(
        operation_id="rollout_roll_back",
        tags=["rollouts"],
        request=Act,
        responses=RolloutDetail,
        examples=examples.TAKE_BACK,
    )
    def post(self, request: Request, rollout_id: int) -> Response:
        return self.done(request, rollout_id)


def _summary(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.pk,
        "version": str(rollout.version),
        "champion": str(rollout.champion),
        "status": rollout.status,
        "share": rollout.share,
        "steps": rollout.steps,
        "next_share": rollout.next_share if rollout.is_unfinished else None,
        "reason": say(rollout.reason),
        "outcome": say(rollout.outcome),
        "waits_for": say(rollout.waits_for),
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
        findings=_findings(rollout.findings),
        events=[
            RolloutStep(
                at=event.at,
                kind=event.kind,
                by=event.by,
                share_before=event.share_before,
                share=event.share,
                reason=say(event.reason),
                findings=_findings(event.findings),
            )
            for event in rollout.events.all()
        ],
    )


def _findings(kept: list[dict[str, Any]]) -> list[RolloutFinding]:
    """Findings as they stand in a row, said in the caller's language."""
    return [
        RolloutFinding(
            words=say_kept(one, "words"),
            **{name: one[name] for name in RolloutFinding.__struct_fields__ if name != "words"},
        )
        for one in kept
    ]
