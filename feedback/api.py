"""`POST feedback`: what a human says about a prediction. `GET quality`: what all of it says of a version."""

from __future__ import annotations

import re
import uuid
from typing import Any, cast

from django.conf import settings
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import UNSET
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from corpus.errors import FieldRequired
from feedback.bodies import (
    DayQuality,
    FeedbackRequest,
    FeedbackResponse,
    LabelQuality,
    LiveQuality,
    SpanNotice,
    StoredSpan,
)
from feedback.errors import (
    EitherSpansOrRating,
    IdempotencyKeyTwice,
    SpanFieldUnknown,
    VersionMalformed,
)
from feedback.models import Correction, QualityEstimate, Rating
from feedback.selectors import decisions_count, quality_by_label, quality_trend
from feedback.services import prediction_correct, rating_submit
from inference.models import ApiKey, Prediction
from inference.selectors import champion_of, prediction_get, version_named
from inference.wire import exchange
from ner.spans import Span, Utf16Index, span_warnings

_ETAG = re.compile(r'(?:W/)?"?(\d{1,9})"?\Z', re.ASCII)
_SPAN_FIELDS = {"start", "end", "label", "text"}
_OF_CORRECTION = (
    "Counts towards the project's next retraining, as a training example. It never enters the test split: "
    "only randomly drawn reviews may judge a model."
)
_OF_RATING = "Kept for the quality reports; models are trained on corrected spans, not on ratings."


_PREDICTION = "f1532274-e0cc-4ad9-8921-61271034b4b2"
_REQUEST = "c2dc0b8004d5488f8ff56c5ae4e32f3c"
_SPANS = [
    {"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"},
    {"start": 22, "end": 28, "label": "geo", "text": "London"},
    {"start": 32, "end": 36, "label": "tim", "text": "1835"},
]
EXAMPLES = [
    *exchange(
        "All spans as they should be",
        asked={"prediction_id": _PREDICTION, "spans": _SPANS},
        answered={
            "id": "13bd640f-6191-484e-b41b-e5649833b22c",
            "kind": "correction",
            "prediction_id": _PREDICTION,
            "document_id": "5447cdcb-4c75-40a9-804e-c6dd734da310",
            "number": 1,
            "spans": _SPANS,
            "offset_unit": "codepoint",
            "decisions": {"accept": 3},
            "warnings": [],
            "retraining": _OF_CORRECTION,
            "request_id": _REQUEST,
        },
    ),
    *exchange(
        "A rating",
        asked={"prediction_id": _PREDICTION, "rating": 4, "comment": "The year was missed."},
        answered={
            "id": "17",
            "kind": "rating",
            "prediction_id": _PREDICTION,
            "document_id": None,
            "number": None,
            "spans": None,
            "offset_unit": "codepoint",
            "decisions": {},
            "warnings": [],
            "retraining": _OF_RATING,
            "request_id": _REQUEST,
        },
    ),
]


class FeedbackView(APIView):
    """Correct or rate a prediction."""

    scope = ApiKey.Scope.FEEDBACK
    body = FeedbackRequest
    body_limit = settings.LIMITS["feedback_body_bytes"]

    def cost(self, request: Request) -> int:
        """One, however many spans."""
        return 1

    @extend_schema(
        operation_id="feedback",
        tags=["feedback"],
        request=FeedbackRequest,
        responses=FeedbackResponse,
        examples=EXAMPLES,
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                {"type": "string", "pattern": "^[!-~]{1,255}$"},
                OpenApiParameter.HEADER,
                description="A retry under the same key is stored once and gets the same answer.",
            ),
            OpenApiParameter(
                "If-Match",
                {"type": "string", "pattern": '^"?[0-9]{1,9}"?$'},
                OpenApiParameter.HEADER,
                description="The number of the correction you started from. Needed once one exists.",
            ),
        ],
    )
    def post(self, request: Request) -> Response:
        said = cast(FeedbackRequest, request.data or _missing("prediction_id"))
        key = cast(ApiKey, request.auth)
        prediction = prediction_get(project=key.project, prediction_id=said.prediction_id)
        idempotency_key = _idempotency_key(request, said)
        if said.spans is UNSET and said.rating is not UNSET:
            rating = rating_submit(
                prediction=prediction,
                score=said.rating,
                comment=said.comment,
                api_key=key,
                idempotency_key=idempotency_key,
            )
            return Response(_of_rating(rating, request))
        if said.spans is UNSET or said.rating is not UNSET or said.comment:
            raise EitherSpansOrRating(pointer="/spans")
        _fields_check(said.spans)
        correction = prediction_correct(
            prediction=prediction,
            spans=said.spans,
            base_number=_base_number(request),
            api_key=key,
            milliseconds=said.milliseconds,
            idempotency_key=idempotency_key,
            offset_unit=said.offset_unit,
        )
        return Response(
            _of_correction(correction, prediction, said, request),
            headers={"ETag": f'"{correction.number}"'},
        )


class QualityView(APIView):
    """How good live answers are, found by reviews of a random share of them."""

    scope = ApiKey.Scope.MODELS
    parameters = ("model",)

    @extend_schema(
        operation_id="quality_read",
        tags=["models"],
        responses=LiveQuality,
        parameters=[
            OpenApiParameter(
                "model", str, description="`name@number`; without it, the version that is champion now."
            )
        ],
    )
    def get(self, request: Request) -> Response:
        project = cast(ApiKey, request.auth).project
        asked = request.query_params.get("model")
        version = version_named(project, asked) if asked else champion_of(project)
        found = {one.label: one for one in quality_by_label(project, version)}
        total = found.pop("", None)
        return Response(
            LiveQuality(
                version=str(version),
                documents=total.documents if total else 0,
                counted_at=total.at if total else None,
                total=_of_label(total) if total else None,
                labels={label: _of_label(one) for label, one in found.items()},
                trend=[
                    DayQuality(
                        day=one.day,
                        f1=round(one.f1, 4),
                        low=round(one.low, 4),
                        high=round(one.high, 4),
                        documents=one.documents,
                    )
                    for one in quality_trend(project, version)
                ],
            )
        )


def _of_label(one: QualityEstimate) -> LabelQuality:
    return LabelQuality(
        f1=round(one.f1, 4),
        low=round(one.low, 4),
        high=round(one.high, 4),
        tp=one.tp,
        fp=one.fp,
        fn=one.fn,
        reviews_needed=one.reviews_needed,
    )


def _missing(field: str) -> Any:
    raise FieldRequired(pointer=f"/{field}", field=field)


def _idempotency_key(request: Request, said: FeedbackRequest) -> str:
    """The header's or the body's; without one, this request is a case of its own."""
    header = request.headers.get("Idempotency-Key")
    field = None if said.idempotency_key is UNSET else said.idempotency_key
    if header is not None and field is not None and header != field:
        raise IdempotencyKeyTwice(pointer="/idempotency_key")
    for given in (header, field):
        if given is not None:
            return given
    return uuid.uuid4().hex


def _base_number(request: Request) -> int | None:
    header = request.headers.get("If-Match")
    if header is None:
        return None
    found = _ETAG.match(header.strip())
    if found is None:
        raise VersionMalformed()
    return int(found[1])


def _fields_check(spans: list[Any]) -> None:
    for index, span in enumerate(spans):
        if isinstance(span, dict) and (unknown := span.keys() - _SPAN_FIELDS):
            raise SpanFieldUnknown(pointer=f"/spans/{index}", index=index, count=len(unknown))


def _of_correction(
    correction: Correction, prediction: Prediction, said: FeedbackRequest, request: Request
) -> FeedbackResponse:
    text = correction.document.text
    spans = [Span.from_json(body) for body in correction.spans]
    place = Utf16Index(text).to_utf16 if said.offset_unit == "utf16" else int
    return FeedbackResponse(
        id=str(correction.pk),
        kind="correction",
        prediction_id=prediction.pk,
        document_id=correction.document_id,
        number=correction.number,
        spans=[
            StoredSpan(
                start=place(span.start),
                end=place(span.end),
                label=span.label,
                text=text[span.start : span.end],
            )
            for span in spans
        ],
        offset_unit=said.offset_unit,
        decisions=decisions_count(correction),
        warnings=[
            SpanNotice(code=found.code, index=found.index, detail=found.detail)
            for found in span_warnings(text, spans)
        ],
        retraining=_OF_CORRECTION,
        request_id=str(getattr(request, "request_id", "")),
    )


def _of_rating(rating: Rating, request: Request) -> FeedbackResponse:
    return FeedbackResponse(
        id=str(rating.pk),
        kind="rating",
        prediction_id=rating.prediction_id,
        document_id=rating.prediction.document_id,
        number=None,
        spans=None,
        offset_unit="codepoint",
        decisions={},
        warnings=[],
        retraining=_OF_RATING,
        request_id=str(getattr(request, "request_id", "")),
    )
