"""`GET models` and `GET models/{id}`."""

from __future__ import annotations

from typing import Any, cast

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from corpus.errors import NotFound
from inference.api.bodies import ModelDetail, ModelList, ModelSummary, Scores
from inference.authentication import Caller
from inference.errors import UnknownModel
from inference.models import ApiKey, ModelVersion
from inference.selectors import exams_newest, slots_of, version_named, versions_visible


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
        test: dict[str, Any] = version.metrics.get("test", {})
        scores = {"all": test["micro"], **test.get("labels", {})} if "micro" in test else {}
        seconds = version.metrics.get("train", {}).get("seconds")
        return Response(
            ModelDetail(
                **_summary(version, slots, f1),
                parent=str(version.parent) if version.parent else None,
                scores={
                    name: Scores(
                        precision=row["precision"], recall=row["recall"], f1=row["f1"], support=row["support"]
                    )
                    for name, row in scores.items()
                },
                training_seconds=float(seconds) if seconds is not None else None,
                card=version.card,
            )
        )


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
