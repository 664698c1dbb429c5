"""The bodies of the prediction API. They are the documentation too: the OpenAPI schema is made from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType

from inference.formats import Found, Language, OffsetUnit, OutputFormat, Probability
from inference.tokens import SECONDS, SECONDS_LIMIT

MAX_CHARACTERS = 100_000
MAX_BATCH = 1_000

Model = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        description="`auto` (the champion), a family such as `flagship`, and with the scope `route` a slot "
        "(`champion`, `challenger`, `challenger-2`, `challenger-3`, `speed`, `backup`) or a version "
        "`name@number`.",
        examples=["auto", "flagship"],
    ),
]
Milliseconds = Annotated[float, Meta(gt=0, le=600_000)]
Text = Annotated[
    str,
    Meta(
        description=f"1 to {MAX_CHARACTERS:,} code points, taken exactly as sent.",
        examples=["Ada Lovelace moved to London in 1835."],
        # The service checks the length: msgspec would count bytes of the whole body first anyway.
        extra_json_schema={"minLength": 1, "maxLength": MAX_CHARACTERS, "pattern": "^[^\\u0000]*$"},
    ),
]
Strategy = Annotated[
    Literal["intelligent", "performance", "speed", "accuracy", "cascade"],
    Meta(
        description="`intelligent`: the best F1 of those that meet the demands; `performance`: the "
        "champion, or the next in its place; `speed`: the fastest; `accuracy`: the best F1 at any speed; "
        "`cascade`: the fastest, and where it is unsure of a text the best, from a measured uncertainty on "
        "(where none is measured, as `accuracy`)."
    ),
]
ProjectSlug = Annotated[str, Meta(max_length=50, description="The key's own project; another is refused.")]


class Options(Struct, forbid_unknown_fields=True, kw_only=True):
    """How texts are to be recognised and answered."""

    project: ProjectSlug | None = None
    model: Model = "auto"
    language: Language = ""
    return_confidence: Annotated[bool, Meta(description="Say how sure the model is.")] = True
    output_format: OutputFormat = "json"
    min_confidence: Annotated[
        Probability, Meta(description="Leave out entities below this, in addition to the labels' own bars.")
    ] = 0.0
    store: Annotated[
        bool, Meta(description="Keep text and answer; without, there is no `prediction_id` for feedback.")
    ] = True
    routing_strategy: Annotated[
        Strategy | None, Meta(description="With `auto`: how the version is chosen, if not by the shares.")
    ] = None
    subject: Annotated[
        str,
        Meta(
            max_length=200,
            description="With `auto`: whose text it is. Where several versions share the callers, one "
            "subject always gets the same version; without it, one text does. An experiment may divide by "
            "API key or by text instead. It is not kept; which of 4,096 groups it falls into is.",
            examples=["user-4711"],
        ),
    ] = ""
    mask_pii: Annotated[
        bool,
        Meta(
            description="Answer the text too, with each entity found of a label marked as personal data "
            "replaced by `[LABEL_1]`, `[LABEL_2]`, ...; the same words have one number throughout a text."
        ),
    ] = False
    offset_unit: Annotated[
        OffsetUnit, Meta(description="What `start` and `end` count: code points, or UTF-16 units.")
    ] = "codepoint"


class Routed(Options, forbid_unknown_fields=True, kw_only=True):
    """Options of one text, and what is asked of the version that answers it."""

    max_latency_ms: Annotated[
        Milliseconds | None,
        Meta(description="With `auto`: only a version whose measured p95 for this length is no higher."),
    ] = None
    min_accuracy: Annotated[
        Probability | None, Meta(description="With `auto`: only a version whose measured F1 is no lower.")
    ] = None


class PredictRequest(Routed, forbid_unknown_fields=True, kw_only=True):
    """One text to recognise."""

    speed_priority: Annotated[
        bool,
        Meta(description="With `auto`: the fastest version; short for the `routing_strategy` `speed`."),
    ] = False
    include_metrics: Annotated[bool, Meta(description="Tell where the time went.")] = False

    text: Text


class RouteRequest(Routed, forbid_unknown_fields=True, kw_only=True):
    """One text to recognise, and how the version is to be chosen."""

    text: Text
    routing_strategy: Strategy = "intelligent"
    fallback_enabled: Annotated[
        bool, Meta(description="Where no version meets the demands: let the nearest answer; else 409.")
    ] = True


class BatchRequest(Options, forbid_unknown_fields=True, kw_only=True):
    """Many texts to recognise at once."""

    texts: Annotated[
        list[Any],
        Meta(
            description="1 to 1,000 texts, or objects of `id` and `text`. A bad item fails alone: its place "
            "in `results` holds an error.",
            examples=[["Ada Lovelace moved to London.", {"id": "b", "text": "Grace Hopper left Boston."}]],
            extra_json_schema={"minItems": 1, "maxItems": MAX_BATCH},
        ),
    ]


class CascadePart(Struct, kw_only=True):
    """One of the two versions of a cascade, and what it did for this request."""

    model_version: str
    slot: str
    f1_score: Annotated[float | None, Meta(description="In the exam that the threshold was measured in.")]
    texts: Annotated[int, Meta(description="So many texts it was asked about.")]
    recognition_ms: Annotated[float, Meta(description="It took so long for each of them.")]


class CascadeTold(Struct, kw_only=True):
    """How two versions shared the texts, and by which measurement. With the strategy `cascade`."""

    first: CascadePart
    second: CascadePart
    uncertainty: Annotated[
        float | None, Meta(description="How unsure the first was of the text; null for a batch.")
    ]
    threshold: Annotated[float, Meta(description="From this uncertainty on a text is handed on.")]
    handed_on: Annotated[int, Meta(description="So many texts of this request were.")]
    measured_on: Annotated[str, Meta(examples=["the project's test texts"])]
    measured_texts: int
    measured_share: Annotated[float, Meta(description="The part of those texts that was handed on.")]
    measured_f1: Annotated[float, Meta(description="Of both together, on those texts.")]
    margin: Annotated[
        float, Meta(description="So much F1 against the second alone the threshold was allowed to cost.")
    ]


class RoutingDecision(Struct, kw_only=True):
    """Which model answered, and why."""

    requested: str
    slot: str
    reason: str
    cascade: Annotated[CascadeTold, Meta(description="Where two versions shared the texts.")] | UnsetType = (
        UNSET
    )


class Alternative(Struct, kw_only=True):
    """A version that could have answered too."""

    model_version: str
    slot: str
    f1_score: float | None
    p50_ms: Annotated[float | None, Meta(description="Measured here for texts of about this length.")]
    p95_ms: float | None
    why_not: Annotated[str, Meta(description="What spoke against it; empty where another was just better.")]


class RoutingDecided(RoutingDecision, kw_only=True):
    """Which version answered, why, and what else could have."""

    selected_model: str
    strategy: str
    p50_ms: float | None
    p95_ms: float | None
    alternatives_considered: list[Alternative]
    decision_time_ms: float


class Notice(Struct, kw_only=True):
    """Something worth knowing that did not prevent an answer."""

    code: Literal["language_unsupported"]
    detail: str


class Timing(Struct, kw_only=True):
    """Where the time of one answer went, and what this version usually needs."""

    routing_ms: float
    recognition_ms: Annotated[float, Meta(description="Next to nothing for a text that was remembered.")]
    recording_ms: float
    p50_ms: Annotated[
        float | None, Meta(description="Recognition only, measured here for texts of about this length.")
    ]
    p95_ms: float | None


class PredictResponse(Found, kw_only=True):
    """What was found, by which version, and how good that version is."""

    model_used: Annotated[str, Meta(description="The family.", examples=["flagship"])]
    model_version: Annotated[str, Meta(examples=["flagship@1"])]
    routing_decision: RoutingDecision
    offset_unit: OffsetUnit
    processing_time_ms: float
    f1_score: Annotated[
        float | None,
        Meta(description="The version's measured entity F1 (strict); null where none was measured."),
    ]
    request_id: str
    prediction_id: UUID | None
    warnings: list[Notice]
    metrics: Annotated[Timing, Meta(description="With `include_metrics`.")] | UnsetType = UNSET


class RouteResponse(PredictResponse, kw_only=True):
    """What was found, and how the version was chosen."""

    routing_decision: RoutingDecided
    sla_met: Annotated[
        bool, Meta(description="Was the answer within `max_latency_ms`, by a version of `min_accuracy`?")
    ]


class ItemError(Struct, kw_only=True):
    """Why one item of a batch was not answered."""

    code: str
    detail: str
    pointer: str


class BatchItem(Found, kw_only=True):
    """The answer to one item, or its error."""

    index: int
    id: str
    status: Literal["ok", "error"]
    model_version: Annotated[
        str | None, Meta(description="Which version answered; null for an error.", examples=["flagship@1"])
    ]
    prediction_id: UUID | None
    processing_time_ms: float
    error: ItemError | UnsetType = UNSET


class BatchResponse(Struct, kw_only=True):
    """The answers of a batch, in the order of its items."""

    batch_id: UUID
    results: list[BatchItem]
    count: int
    failed: int
    models_used: list[str]
    average_confidence: Annotated[
        float | None, Meta(description="Mean over all entities; null where there are none.")
    ]
    routing_decision: RoutingDecision
    offset_unit: OffsetUnit
    f1_score: Annotated[
        float | None, Meta(description="Of the version that answered; null where two did, or unmeasured.")
    ]
    processing_time_ms: float
    average_time_ms: float
    request_id: str
    warnings: list[Notice]


class TokenRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """How long a token is to live, and what it may do."""

    seconds: Annotated[int, Meta(ge=1, le=SECONDS_LIMIT, description="Then it ends by itself.")] = SECONDS
    scopes: Annotated[
        Annotated[list[Annotated[str, Meta(max_length=20)]], Meta(min_length=1, max_length=20)] | None,
        Meta(description="Some of the key's scopes; all of them where none are named."),
    ] = None


class TokenResponse(Struct, kw_only=True):
    """A token, to be sent as the key would be (RFC 6749, section 5.1)."""

    access_token: str
    expires_in: Annotated[int, Meta(description="Seconds.")]
    scope: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105


class Scores(Struct, kw_only=True):
    """Strict entity scores."""

    precision: float
    recall: float
    f1: float
    support: int


class ModelSummary(Struct, kw_only=True):
    """One version that this project may use."""

    id: int
    version: Annotated[str, Meta(description="`name@number`", examples=["flagship@1"])]
    family: str
    origin: Literal["bundled", "trained", "blank"]
    labels: list[str]
    parameters: int
    size_bytes: int
    sha256: str
    f1_score: float | None
    slots: list[str]
    created_at: datetime


class ModelList(Struct, kw_only=True):
    """The versions that this project may use, newest first."""

    models: list[ModelSummary]


class ModelDetail(ModelSummary, kw_only=True):
    """One version with what was measured of it, and its card."""

    parent: str | None
    scores: Annotated[
        dict[str, Scores], Meta(description="By label; `all` is the micro average. Empty where unmeasured.")
    ]
    training_seconds: float | None
    card: Annotated[str, Meta(description="The model card, Markdown.")]


class ComparedModel(ModelSummary, kw_only=True):
    """One version beside the others."""

    rank: Annotated[int, Meta(description="1 is the best by F1, the faster one of two equals first.")]
    status: Annotated[
        Literal["serving", "standby"], Meta(description="Is there a slot of the project that it fills?")
    ]
    traffic_share: Annotated[float, Meta(description="Percent of the callers who ask for `auto`.")]
    architecture: Annotated[dict[str, Any], Meta(description="What the bundle's network is made of.")]
    scores: Annotated[dict[str, Scores], Meta(description="By label; `all` is the micro average.")]
    measured_on: Annotated[str, Meta(description="The set of texts of these scores; empty where unmeasured.")]
    p50_ms: Annotated[
        float | None,
        Meta(description="A text of 100 characters, measured by this process; null before that."),
    ]
    p95_ms: float | None
    texts_per_second: Annotated[float | None, Meta(description="One after the other: 1000 / `p50_ms`.")]
    training_seconds: float | None


class ShadowAgreement(Struct, kw_only=True):
    """How far the version in the shadow slot agrees with the champion, on what callers were told."""

    shadow: Annotated[str, Meta(description="`name@number`")]
    champion: Annotated[str, Meta(description="`name@number`")]
    since: datetime
    share: Annotated[float, Meta(description="Percent of the champion's answers that are read again.")]
    compared: int
    identical: Annotated[int, Meta(description="Answers with just the same entities.")]
    agreement: Annotated[
        float | None,
        Meta(description="Mean F1 of its spans against the champion's; null before the first answer."),
    ]
    agreement_low: Annotated[float, Meta(description="The lower end of the 95 % interval.")]
    agreement_high: Annotated[float, Meta(description="The upper end of the 95 % interval.")]
    mean_latency_ms: Annotated[float | None, Meta(description="For a text, read in batches by a worker.")]
    failed: Annotated[int, Meta(description="Texts that it could not answer.")]
    dropped: Annotated[int, Meta(description="Answers passed over because it was too far behind.")]
    problem: Annotated[str, Meta(description="Why it cannot read now, as a code; empty where it can.")]


class ModelComparison(Struct, kw_only=True):
    """Versions beside each other, the best first."""

    models: list[ComparedModel]
    is_fair: Annotated[bool, Meta(description="Were all measured on the same set of texts?")]
    best_f1: Annotated[str | None, Meta(description="`name@number`")]
    fastest: str | None
    shadow: Annotated[ShadowAgreement | None, Meta(description="Null where no shadow has begun to read.")]
