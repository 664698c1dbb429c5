"""`experiments`: draft, start, watch, stop and decide them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from drf_spectacular.utils import extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from audit.services import Actor
from corpus.errors import FieldRequired
from inference.models import ApiKey, ModelVersion
from inference.selectors import version_named
from inference.wire import KeyView
from retraining.api import examples
from retraining.api.acts import Act, ActView, Reason
from retraining.experiment_estimates import ExperimentEstimate, experiment_estimate
from retraining.experiment_words import verdict_of
from retraining.models import Experiment
from retraining.selectors import arms_of, experiments_of, look_newest, row_numbered
from retraining.services import (
    experiment_conclude,
    experiment_create,
    experiment_start,
    experiment_stop,
)

LISTED = 100
Share = Annotated[float, Meta(gt=0, lt=100, description="Percent of the callers.")]
Version = Annotated[str, Meta(min_length=1, max_length=100, examples=["flagship@2"])]


class Arm(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A version that is compared with the champion."""

    version: Version
    share: Share


class ExperimentRequest(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A question, the versions that may answer it, and how sure one wants to be."""

    question: Annotated[str, Meta(min_length=1, max_length=300, pattern=r"\S")]
    arms: Annotated[list[Arm], Meta(min_length=1, max_length=3, description="The champion keeps the rest.")]
    by: Annotated[
        Literal["subject", "api_key", "text"], Meta(description="What always gets the same version.")
    ] = "subject"
    metric: Literal["edit_rate", "reviewed_f1", "rating"] = "edit_rate"
    effect: Annotated[
        float,
        Meta(
            ge=0.001, le=4, description="The smallest difference worth having; 0.03 are 3 points of a rate."
        ),
    ] = 0.03
    alpha: Annotated[float, Meta(ge=0.001, le=0.2)] = 0.05
    power: Annotated[float, Meta(ge=0.5, le=0.99)] = 0.8
    max_days: Annotated[int, Meta(ge=1, le=365)] = 28
    promotes_winner: Annotated[bool, Meta(description="Make a winner champion without a human.")] = False


class ExperimentDecision(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which version becomes champion, and why; the champion's own ends the experiment and keeps it."""

    version: Version
    reason: Reason


class EstimateTold(msgspec.Struct, kw_only=True):
    """How long it will take, from the reviews (ratings, where they are the metric) of late."""

    total: Annotated[int, Meta(description="Reviews needed in all arms together.")]
    per_arm: int
    answers_per_day: float
    reviews_per_day: float
    days: Annotated[float | None, Meta(description="null where nothing was reviewed lately.")]
    is_assumed: Annotated[bool, Meta(description="Were there too few to know how much they vary?")]
    is_by_few: Annotated[bool, Meta(description="Are there too few API keys to tell arms apart by key?")]


class ArmTold(msgspec.Struct, kw_only=True):
    """One arm, and what the last look measured of it: numbers, and `[value, low, high]` at 95 %."""

    slot: str
    version: str
    share: float
    dropped_at: Annotated[
        datetime | None, Meta(description="Since then the champion answers its callers, for it was worse.")
    ]
    measured: dict[str, Any]


class ComparisonTold(msgspec.Struct, kw_only=True):
    """A challenger minus the champion; the interval and the p-value hold at every look."""

    slot: str
    difference: float
    low: Annotated[float | None, Meta(description="null while nothing can be said.")]
    high: float | None
    p_value: float


class ExperimentTold(msgspec.Struct, kw_only=True):
    """One experiment, and what may be concluded from it now."""

    id: int
    question: str
    status: Literal["draft", "running", "ended"]
    outcome: Annotated[
        str, Meta(description="`win`, `loss`, `futility`, `stopped` or `interrupted`; or empty.")
    ]
    verdict: Annotated[list[str], Meta(description="In plain words.")]
    by: str
    metric: str
    effect: float
    alpha: float
    power: float
    max_days: int
    promotes_winner: bool
    arms: list[ArmTold]
    comparisons: list[ComparisonTold]
    reviews: int
    reviews_needed: Annotated[int | None, Meta(description="So many more, at present variance.")]
    sample_ratio_p: Annotated[
        float | None, Meta(description="Below 0.001 the answers do not fit the shares: do not trust it.")
    ]
    looked_at: datetime | None
    winner: str | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    promoted_at: datetime | None


class ExperimentList(msgspec.Struct, kw_only=True):
    """The newest experiments of the key's project."""

    experiments: list[ExperimentTold]


class ExperimentsView(KeyView):
    """Draft an experiment, or list them."""

    body = ExperimentRequest

    @property
    def scope(self) -> str:
        """Drafting one is the first step of moving callers."""
        return ApiKey.Scope.TRAFFIC if self.request.method == "POST" else ApiKey.Scope.MODELS

    @extend_schema(operation_id="experiments_list", tags=["experiments"], responses=ExperimentList)
    def get(self, request: Request) -> Response:
        found = experiments_of(project=self.key(request).project)[:LISTED]
        return Response(ExperimentList(experiments=[_told(one) for one in found]))

    @extend_schema(
        operation_id="experiment_create",
        tags=["experiments"],
        description="Nobody is answered differently before it is started.",
        request=ExperimentRequest,
        responses={201: ExperimentTold},
        examples=examples.CREATE,
    )
    def post(self, request: Request) -> Response:
        key = self.key(request)
        asked, arms = _asked(request, key)
        settings = {name: getattr(asked, name) for name in asked.__struct_fields__ if name not in _OF_ITS_OWN}
        experiment = experiment_create(
            project=key.project,
            question=asked.question,
            arms=arms,
            actor=Actor.of_key(key.pk, key.name),
            **settings,
        )
        return Response(_told(experiment), status=201)


class EstimateView(KeyView):
    """How long an experiment would take, before it is drafted."""

    scope = ApiKey.Scope.TRAFFIC
    body = ExperimentRequest

    @extend_schema(
        operation_id="experiment_estimate",
        tags=["experiments"],
        request=ExperimentRequest,
        responses=EstimateTold,
        examples=examples.ESTIMATE,
    )
    def post(self, request: Request) -> Response:
        key = self.key(request)
        asked, arms = _asked(request, key)
        found: ExperimentEstimate = experiment_estimate(
            project=key.project,
            shares=[share for _, share in arms],
            metric=asked.metric,
            by=asked.by,
            effect=asked.effect,
            alpha=asked.alpha,
            power=asked.power,
        )
        return Response(
            EstimateTold(**{name: getattr(found, name) for name in EstimateTold.__struct_fields__})
        )


class ExperimentView(KeyView):
    """One experiment with the numbers of its last look."""

    scope = ApiKey.Scope.MODELS

    @extend_schema(operation_id="experiment_read", tags=["experiments"], responses=ExperimentTold)
    def get(self, request: Request, experiment_id: int) -> Response:
        return Response(_told(row_numbered(experiments_of(project=self.key(request).project), experiment_id)))


class _ExperimentAct(ActView):
    noun = "experiment"
    rows = staticmethod(experiments_of)

    @staticmethod
    def tell(experiment: Experiment) -> ExperimentTold:
        """The experiment as it is after it."""
        return _told(experiment)


class ExperimentStartView(_ExperimentAct):
    """Deal the callers out to the arms."""

    act = staticmethod(experiment_start)

    @extend_schema(
        operation_id="experiment_start",
        tags=["experiments"],
        request=Act,
        responses=ExperimentTold,
        examples=examples.START,
    )
    def post(self, request: Request, experiment_id: int) -> Response:
        return self.done(request, experiment_id)


class ExperimentStopView(_ExperimentAct):
    """End an experiment without a decision: the champion answers everybody again."""

    act = staticmethod(experiment_stop)

    @extend_schema(
        operation_id="experiment_stop",
        tags=["experiments"],
        request=Act,
        responses=ExperimentTold,
        examples=examples.STOP,
    )
    def post(self, request: Request, experiment_id: int) -> Response:
        return self.done(request, experiment_id)


class ExperimentConcludeView(_ExperimentAct):
    """Make one of the arms champion; an experiment that runs ends with it."""

    body = ExperimentDecision
    act = staticmethod(experiment_conclude)

    @extend_schema(
        operation_id="experiment_conclude",
        tags=["experiments"],
        request=ExperimentDecision,
        responses=ExperimentTold,
        examples=examples.CONCLUDE,
    )
    def post(self, request: Request, experiment_id: int) -> Response:
        asked = request.data
        if not asked:
            raise FieldRequired(pointer="/version", field="version")
        return self.done(
            request, experiment_id, version=version_named(self.key(request).project, asked.version)
        )


#: What of a request is no setting of the experiment.
_OF_ITS_OWN = {"question", "arms"}


def _asked(request: Request, key: ApiKey) -> tuple[ExperimentRequest, list[tuple[ModelVersion, float]]]:
    asked = request.data
    if not asked:
        raise FieldRequired(pointer="/question", field="question")
    arms = [(version_named(key.project, arm.version), arm.share) for arm in asked.arms]
    return asked, arms


def _told(experiment: Experiment) -> ExperimentTold:
    arms, look = arms_of(experiment=experiment), look_newest(experiment=experiment)
    verdict = verdict_of(experiment, arms, look)
    names = ("question", "status", "outcome", "by", "metric", "effect", "alpha", "power", "max_days")
    moments = ("created_at", "started_at", "ended_at", "promoted_at")
    return ExperimentTold(
        id=experiment.pk,
        **{name: getattr(experiment, name) for name in (*names, *moments, "promotes_winner")},
        verdict=[verdict.sentence, *verdict.notes],
        arms=[
            ArmTold(
                slot=arm.slot,
                version=str(arm.version),
                share=arm.share,
                dropped_at=arm.dropped_at,
                measured=look.arms.get(arm.slot, {}) if look else {},
            )
            for arm in arms
        ],
        comparisons=[
            ComparisonTold(slot=slot, **one) for slot, one in (look.comparisons if look else {}).items()
        ],
        reviews=look.reviews if look else 0,
        reviews_needed=look.needed if look else None,
        sample_ratio_p=look.ratio_p if look else None,
        looked_at=look.at if look else None,
        winner=str(experiment.winner) if experiment.winner else None,
    )
