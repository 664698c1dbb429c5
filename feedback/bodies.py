"""The bodies of `POST feedback` and `GET quality`. The OpenAPI schema is made from them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

_SPAN = {
    "type": "object",
    "required": ["start", "end", "label"],
    "additionalProperties": False,
    "properties": {
        "start": {"type": "integer", "minimum": 0},
        "end": {"type": "integer", "minimum": 1},
        "label": {"type": "string", "minLength": 1, "maxLength": 50},
        "text": {"type": "string", "description": "Compared with the text at that place."},
    },
}


class FeedbackRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """A human's verdict on a prediction: either all spans as they should be, or a rating."""

    prediction_id: UUID
    spans: (
        Annotated[
            list[Any],
            Meta(
                description="The complete set of true spans, none left out; empty where there is no entity.",
                examples=[[{"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"}]],
                extra_json_schema={"items": _SPAN, "maxItems": 10_000},
            ),
        ]
        | UnsetType
    ) = UNSET
    rating: Annotated[int, Meta(ge=1, le=5, description="1 (bad) to 5 (good).")] | UnsetType = UNSET
    comment: Annotated[str, Meta(max_length=2000, description="Goes with a rating.")] = ""
    offset_unit: Literal["codepoint", "utf16"] = "codepoint"
    milliseconds: Annotated[int, Meta(ge=0, le=86_400_000, description="Time the human took.")] = 0
    idempotency_key: (
        Annotated[str, Meta(description="As in the header Idempotency-Key; send one of the two.")] | UnsetType
    ) = UNSET


class StoredSpan(Struct, kw_only=True):
    """A span as it was stored."""

    start: int
    end: int
    label: str
    text: str


class SpanNotice(Struct, kw_only=True):
    """Something about a span that nobody would have meant; it was stored all the same."""

    code: Literal["splits_grapheme", "untrimmed"]
    index: int
    detail: str


class FeedbackResponse(Struct, kw_only=True):
    """What was stored, and what becomes of it."""

    id: str
    kind: Literal["correction", "rating"]
    prediction_id: UUID
    document_id: UUID | None
    number: Annotated[
        int | None, Meta(description="The correction's number of this document; also the ETag.")
    ]
    spans: list[StoredSpan] | None
    offset_unit: Literal["codepoint", "utf16"]
    decisions: Annotated[dict[str, int], Meta(description="How many spans were accepted, rejected, ...")]
    warnings: list[SpanNotice]
    retraining: Annotated[str, Meta(description="What retraining will do with it.")]
    request_id: str


class LabelQuality(Struct, kw_only=True):
    """How good answers are found to be, of one label or of all."""

    f1: Annotated[float, Meta(description="Strict entity F1 of live answers.")]
    low: Annotated[float, Meta(description="The lower end of its 95 % interval, over texts.")]
    high: Annotated[float, Meta(description="The upper end.")]
    tp: int
    fp: int
    fn: int
    reviews_needed: Annotated[
        int | None,
        Meta(
            description="About how many more reviews of random texts narrow the interval to 2 points on "
            "either side; null while too few were reviewed to tell."
        ),
    ]


class DayQuality(Struct, kw_only=True):
    """The estimate as of the end of a day on which something was reviewed."""

    day: date
    f1: float
    low: float
    high: float
    documents: int


class LiveQuality(Struct, kw_only=True):
    """How good one version's answers are, by the newest reviews of texts that were drawn at random."""

    version: Annotated[str, Meta(description="`name@number`")]
    documents: Annotated[int, Meta(description="Reviewed texts behind it, the newest 2,000 at most.")]
    counted_at: Annotated[datetime | None, Meta(description="null before the first review.")]
    total: LabelQuality | None
    labels: dict[str, LabelQuality]
    trend: Annotated[list[DayQuality], Meta(description="Of all labels together, oldest first.")]
