"""`GET models`, `GET models/{id}` and `GET models/comparison`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from corpus.errors import NotFound
from corpus.models import Project
from inference.api.bodies import (
    ComparedModel,
    ModelComparison,
    ModelDetail,
    ModelList,
    ModelSummary,
    Scores,
    ShadowAgreement,
)
from inference.authentication import Caller
from inference.engine import bundle_path
from inference.errors import TooManyModels, UnknownModel
from inference.latency import latencies
from inference.models import ApiKey, Deployment, ModelVersion
from inference.selectors import (
    deployment_of,
    exams_newest,
    measured_newest,
    shadow_test_of,
    shares_in,
    slots_of,
    version_named,
    versions_usual,
    versions_visible,
)
from inference.shares import shadow_share

#: So many versions are compared at once.
COMPARED = 20
#: Latencies are compared on a text of this length: a sentence of about 20 words.
CHARACTERS = 100


class ModelsView(APIView):
    """The versions that this project may use."""

    scope = ApiKey.Scope.MODELS

    @extend_schema(operation_id="models_list", tags=["models"], responses=ModelList)
    def get(self, request: Request) -> Response:
        caller = cast(Caller, request.user)
        project = caller.key.project
        versions = list(versions_visible(project).defer("card"))
        slots, f1 = slots_of(project), exams_newest(versions)
        return Response(
            ModelList(models=[ModelSummary(**_summary(version, slots, f1)) for version in versions])
        )


class ModelView(APIView):
    """One version with its measurements and its card."""

    scope = ApiKey.Scope.MODELS

    @extend_schema(
        operation_id="models_read",
        tags=["models"],
        responses=ModelDetail,
        parameters=[
            OpenApiParameter(
                "reference", str, OpenApiParameter.PATH, description="The id of a version, or `name@number`."
            )
        ],
    )
    def get(self, request: Request, reference: str) -> Response:
        caller = cast(Caller, request.user)
        project = caller.key.project
        version = _version(caller, reference)
        slots, f1 = slots_of(project), exams_newest([version])
        return Response(
            ModelDetail(
                **_summary(version, slots, f1),
                parent=str(version.parent) if version.parent else None,
                scores=_scores(measured_newest([version])[version.pk].scores),
                training_seconds=_training_seconds(version),
                card=version.card,
            )
        )


class ComparisonView(APIView):
    """Versions beside each other: what they are worth, how fast they are, who gets them."""

    scope = ApiKey.Scope.MODELS
    parameters = ("models",)

    @extend_schema(
        operation_id="models_comparison",
        tags=["models"],
        responses=ModelComparison,
        parameters=[
            OpenApiParameter(
                "models",
                str,
                description="Which: `name@number` or ids, separated by commas. Without it, what the "
                "project's slots serve, and the newest bundled version of each family.",
            )
        ],
    )
    def get(self, request: Request) -> Response:
        caller = cast(Caller, request.user)
        project = caller.key.project
        asked = [name.strip() for name in request.query_params.get("models", "").split(",") if name.strip()]
        if len(asked) > COMPARED:
            raise TooManyModels(pointer="/models", limit=COMPARED, count=len(asked))
        versions = [_version(caller, name) for name in asked] if asked else versions_usual(project)
        rows = _compared(project, list({version.pk: version for version in versions}.values()))
        measured = {row.measured_on for row in rows}
        timed = [row for row in rows if row.p50_ms is not None]
        return Response(
            ModelComparison(
                models=rows,
                is_fair=len(measured) == 1 and "" not in measured,
                best_f1=rows[0].version if rows and rows[0].f1_score is not None else None,
                fastest=min(timed, key=lambda row: row.p50_ms or 0.0).version if timed else None,
                shadow=_shadow(project),
            )
        )


def _shadow(project: Project) -> ShadowAgreement | None:
    test, deployment = shadow_test_of(project), deployment_of(project, Deployment.Slot.SHADOW)
    if test is None or deployment is None:
        return None
    low, high = test.agreement_interval
    return ShadowAgreement(
        shadow=str(test.shadow),
        champion=str(test.champion),
        since=test.started_at,
        share=shadow_share(deployment.share),
        compared=test.compared,
        identical=test.identical,
        agreement=None if test.agreement is None else round(test.agreement, 4),
        agreement_low=round(low, 4),
        agreement_high=round(high, 4),
        mean_latency_ms=None if test.latency_ms is None else round(test.latency_ms, 3),
        failed=test.failed,
        dropped=test.dropped,
        problem=test.problem,
    )


def _compared(project: Project, versions: list[ModelVersion]) -> list[ComparedModel]:
    """The versions, the best first."""
    slots, f1, shares = slots_of(project), exams_newest(versions), shares_in(project)
    scores = measured_newest(versions)
    rows = []
    for version in versions:
        latency = latencies.of(version.sha256, characters=CHARACTERS) if version.sha256 else None
        filled = slots.get(version.pk, [])
        rows.append(
            ComparedModel(
                **_summary(version, slots, f1),
                rank=0,
                status="serving" if filled else "standby",
                traffic_share=sum(shares.get(slot, 0.0) for slot in filled),
                architecture=_architecture(version),
                scores=_scores(scores[version.pk].scores),
                measured_on=scores[version.pk].on,
                p50_ms=round(latency.p50_ms, 3) if latency else None,
                p95_ms=round(latency.p95_ms, 3) if latency else None,
                texts_per_second=round(1000 / latency.p50_ms, 1) if latency else None,
                training_seconds=_training_seconds(version),
            )
        )
    rows.sort(key=lambda row: (-(row.f1_score or 0.0), row.p50_ms or float("inf"), row.id))
    for place, row in enumerate(rows, start=1):
        row.rank = place
    return rows


def _scores(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, Scores]:
    return {
        name: Scores(**{field: row[field] for field in ("precision", "recall", "f1", "support")})
        for name, row in scores.items()
    }


def _training_seconds(version: ModelVersion) -> float | None:
    seconds = version.metrics.get("train", {}).get("seconds")
    return float(seconds) if seconds is not None else None


def _architecture(version: ModelVersion) -> dict[str, Any]:
    """From the bundle's own configuration; empty where there is no bundle, or none that can be read."""
    path = bundle_path(version)
    try:
        config = json.loads((path / "config.json").read_text("utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    architecture: dict[str, Any] = config.get("architecture", {})
    return architecture


def _version(caller: Caller, reference: str) -> ModelVersion:
    if "@" in reference:
        try:
            return version_named(caller.key.project, reference)
        except UnknownModel:
            raise NotFound() from None
    known = reference.isascii() and reference.isdecimal() and len(reference) <= 18
    version = (
        versions_visible(caller.key.project).select_related("parent").filter(pk=int(reference)).first()
        if known
        else None
    )
    if version is None:
        raise NotFound()
    return version


def _summary(
    version: ModelVersion, slots: dict[int, list[str]], f1: dict[int, float | None]
) -> dict[str, Any]:
    return {
        "id": version.pk,
        "version": str(version),
        "family": version.family,
        "origin": version.origin,
        "labels": version.labels,
        "parameters": version.parameters,
        "size_bytes": version.size_bytes,
        "sha256": version.sha256,
        "f1_score": f1[version.pk],
        "slots": slots.get(version.pk, []),
        "created_at": version.created_at,
    }
