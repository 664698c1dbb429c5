"""`POST predict`, `POST predict/route` and `POST predict/batch`."""

from __future__ import annotations

import time
import uuid
from typing import Any, cast

from django.conf import settings
from drf_spectacular.utils import extend_schema
from msgspec import UNSET
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from corpus.errors import DomainError, FieldRequired
from corpus.services import text_check
from inference import metrics
from inference.api import examples
from inference.api.bodies import (
    BatchItem,
    BatchRequest,
    BatchResponse,
    ItemError,
    Options,
    PredictRequest,
    PredictResponse,
    RouteRequest,
    RouteResponse,
)
from inference.api.decisions import Spent, answered, decided, decision, timing, warnings
from inference.authentication import Caller
from inference.cache import recognition_cache
from inference.engine import engine
from inference.errors import (
    BatchEmpty,
    BatchTooLarge,
    DuplicateId,
    ModelUnsound,
    NotAnItem,
    OtherProject,
)
from inference.failures import failures
from inference.formats import found_in
from inference.models import ApiKey, ArmFailure, Deployment
from inference.router import AUTO, Choice, Demands, choose, stand_in
from inference.services import Answer, prediction_make
from inference.shared_cache import Place
from inference.shares import Subject
from inference.wire import texts_cost
from ner.masking import masked


class _OneText(APIView):
    """What `predict` and `predict/route` share."""

    scope = ApiKey.Scope.PREDICT
    body_limit = settings.LIMITS["predict_body_bytes"]

    def cost(self, request: Request) -> int:
        """One text."""
        return 1

    def unknown(self, request: Request) -> Place | None:
        """Where Redis may know what this process does not, if it is plain which version will answer."""
        asked = request.data
        if not asked or not asked.store or asked.model != AUTO or not engine.follows:
            return None
        demands = self.demands(request, asked)
        if not demands.are_none:
            return None
        try:
            choice = _choose(request, asked, demands)
        except DomainError:  # the view will find out, and count it
            return None
        return recognition_cache.unknown(choice.serving.version.sha256, asked.text)

    def demands(self, request: Request, asked: Any) -> Demands:
        """What a caller asks of the version that answers."""
        raise NotImplementedError

    def answer(
        self, request: Request, asked: PredictRequest | RouteRequest
    ) -> tuple[Choice, Answer, dict[str, Any], Spent]:
        """The version that answered, its answer, the fields to tell, and where the time went."""
        started = time.perf_counter()
        text_check(asked.text, limit=settings.LIMITS["predict_characters"])
        with metrics.measured("predict"):
            choice = _choose(request, asked, self.demands(request, asked))
            routing_ms = _milliseconds(started)
            choice, [answer] = _ask_in_turn(request, asked, choice, [asked.text])
            choice = answered(choice, [answer])
            asked_ms = _milliseconds(started) - routing_ms
        return (
            choice,
            answer,
            {
                **_found(request, answer, asked),
                "model_used": choice.serving.version.family,
                "model_version": str(choice.serving.version),
                "offset_unit": asked.offset_unit,
                "processing_time_ms": _milliseconds(started),
                "f1_score": choice.serving.f1,
                "request_id": _request_id(request),
                "prediction_id": answer.prediction_id,
                "warnings": warnings(asked, choice),
            },
            Spent(routing_ms, answer.latency_ms, max(asked_ms - answer.latency_ms, 0.0)),
        )


class PredictView(_OneText):
    """Recognise the entities of one text."""

    body = PredictRequest

    def demands(self, request: Request, asked: PredictRequest) -> Demands:
        return Demands(
            characters=len(asked.text),
            subject=_subject(request, asked, asked.text),
            strategy=asked.routing_strategy or ("speed" if asked.speed_priority else None),
            max_latency_ms=asked.max_latency_ms,
            min_accuracy=asked.min_accuracy,
        )

    @extend_schema(
        operation_id="predict",
        tags=["predict"],
        request=PredictRequest,
        responses=PredictResponse,
        examples=examples.PREDICT,
    )
    def post(self, request: Request) -> Response:
        asked = cast(PredictRequest, request.data or _missing("text"))
        choice, answer, fields, spent = self.answer(request, asked)
        return Response(
            PredictResponse(
                **fields,
                routing_decision=decision(asked, choice, [answer]),
                metrics=timing(asked, choice, spent) if asked.include_metrics else UNSET,
            )
        )


class RouteView(_OneText):
    """Recognise one text by the version that measurements speak for, and say why it was that one."""

    body = RouteRequest

    def demands(self, request: Request, asked: RouteRequest) -> Demands:
        return Demands(
            characters=len(asked.text),
            subject=_subject(request, asked, asked.text),
            strategy=asked.routing_strategy,
            max_latency_ms=asked.max_latency_ms,
            min_accuracy=asked.min_accuracy,
            may_fall_back=asked.fallback_enabled,
        )

    @extend_schema(
        operation_id="predict_route",
        tags=["predict"],
        request=RouteRequest,
        responses=RouteResponse,
        examples=examples.ROUTE,
    )
    def post(self, request: Request) -> Response:
        asked = cast(RouteRequest, request.data or _missing("text"))
        choice, answer, fields, spent = self.answer(request, asked)
        f1, took = fields["f1_score"], fields["processing_time_ms"]
        return Response(
            RouteResponse(
                **fields,
                routing_decision=decided(asked, choice, answer, spent),
                sla_met=(asked.max_latency_ms is None or took <= asked.max_latency_ms)
                and (asked.min_accuracy is None or (f1 or 0.0) >= asked.min_accuracy),
            )
        )


class BatchView(APIView):
    """Recognise the entities of up to 1,000 texts in true batches."""

    scope = ApiKey.Scope.PREDICT
    body = BatchRequest
    body_limit = settings.LIMITS["batch_body_bytes"]
    #: Checked item by item, so that one bad text does not fail the others.
    unchecked = "texts"

    def cost(self, request: Request) -> int:
        """One for each text."""
        return texts_cost(len(cast(BatchRequest, request.data).texts) if request.data else 0)

    @extend_schema(
        operation_id="predict_batch",
        tags=["predict"],
        request=BatchRequest,
        responses=BatchResponse,
        examples=examples.BATCH,
    )
    def post(self, request: Request) -> Response:
        started = time.perf_counter()
        asked = cast(BatchRequest, request.data or _missing("texts"))
        items = _items(asked.texts)
        good = {item.index: text for item, text in items if isinstance(text, str)}
        with metrics.measured("batch"):
            # One version for all of them: a true batch has one model. (A cascade is two of them in turn.)
            choice = _choose(request, asked, _demands(request, asked, list(good.values())))
            choice, found = _ask_in_turn(request, asked, choice, list(good.values()))
            answers = dict(zip(good, found, strict=True))
            choice = answered(choice, list(answers.values()))
        for item, _ in items:
            answer = answers.get(item.index)
            if answer is not None:
                item.model_version = str(answer.serving.version)
                item.prediction_id = answer.prediction_id
                item.processing_time_ms = round(answer.latency_ms, 3)
                for name, value in _found(request, answer, asked).items():
                    setattr(item, name, value)
        used = list(dict.fromkeys(str(answer.serving.version) for answer in answers.values()))
        elapsed = _milliseconds(started)
        return Response(
            BatchResponse(
                batch_id=uuid.uuid4(),
                results=[item for item, _ in items],
                count=len(items),
                failed=len(items) - len(good),
                models_used=used,
                average_confidence=_average_confidence(list(answers.values())),
                routing_decision=decision(asked, choice, list(answers.values())),
                offset_unit=asked.offset_unit,
                f1_score=choice.serving.f1 if len(used) <= 1 else None,
                processing_time_ms=elapsed,
                average_time_ms=round(elapsed / len(items), 3),
                request_id=_request_id(request),
                warnings=warnings(asked, choice),
            )
        )


def _missing(field: str) -> Any:
    raise FieldRequired(pointer=f"/{field}", field=field)


def _demands(request: Request, asked: BatchRequest, texts: list[str]) -> Demands:
    """What a batch asks: for a text of the mean length, by whoever sent the first."""
    return Demands(
        characters=sum(map(len, texts)) // max(len(texts), 1),
        subject=_subject(request, asked, next(iter(texts), "")),
        strategy=asked.routing_strategy,
    )


def _subject(request: Request, asked: Options, text: str) -> Subject:
    key = cast(Caller, request.user).key
    return Subject(text=text, named=asked.subject, key=str(key.pk), is_internal=key.internal)


def _choose(request: Request, asked: Options, demands: Demands) -> Choice:
    caller = cast(Caller, request.user)
    project = caller.key.project
    if asked.project is not None and asked.project != project.slug:
        raise OtherProject(pointer="/project")
    model = asked.model
    if model == AUTO and request.META.get("HTTP_X_CANARY", "").lower() == "true":
        model = Deployment.Slot.CHALLENGER
    return choose(project=project, model=model, scopes=caller.scopes, demands=demands)


def _ask_in_turn(
    request: Request, asked: Options, choice: Choice, texts: list[str]
) -> tuple[Choice, list[Answer]]:
    """The answers of the version chosen; where that one gives none that can be right, of the next.

    Only with `auto`: whoever named a version wants that one's answer or none.
    """
    key = cast(Caller, request.user).key
    if choice.passed_over is not None:
        failures.add(
            asker=key,
            serving=choice.passed_over,
            kind=ArmFailure.Kind.LEFT_ALONE,
            count=len(texts) or 1,
            is_dealt=True,
        )
    try:
        return choice, _ask(request, asked, choice, texts)
    except ModelUnsound:
        if asked.model != AUTO:
            raise
        demands = Demands(max(map(len, texts), default=0))
        instead = stand_in(project=key.project, demands=demands, besides=choice)
        if instead is None:
            raise
    return instead, _ask(request, asked, instead, texts)


def _ask(request: Request, asked: Options, choice: Choice, texts: list[str]) -> list[Answer]:
    caller = cast(Caller, request.user)
    return prediction_make(
        project=caller.key.project,
        texts=texts,
        api_key=caller.key,
        request_id=_request_id(request),
        serving=choice.serving,
        cascade=choice.cascade,
        bucket=choice.bucket,
        thresholds=caller.rules.thresholds,
        min_confidence=asked.min_confidence,
        language=asked.language,
        store=asked.store,
    )


def _items(texts: list[Any]) -> list[tuple[BatchItem, str | None]]:
    """Each item with its text, or without one and with its error."""
    limit = settings.LIMITS["batch_texts"]
    if not texts:
        raise BatchEmpty(pointer="/texts")
    if len(texts) > limit:
        raise BatchTooLarge(pointer="/texts", limit=limit, count=len(texts))
    items: list[tuple[BatchItem, str | None]] = []
    seen: set[str] = set()
    for index, given in enumerate(texts):
        item = BatchItem(
            index=index,
            id=str(index),
            status="ok",
            model_version=None,
            prediction_id=None,
            processing_time_ms=0.0,
        )
        text: str | None = None
        try:
            item.id, text = _item_read(given, index)
            text_check(text, limit=settings.LIMITS["predict_characters"])
        except DomainError as error:
            text = None
            item.status = "error"
            item.error = ItemError(
                code=error.code, detail=error.detail, pointer=f"/texts/{index}{error.pointer}"
            )
        if item.id in seen:
            raise DuplicateId(pointer=f"/texts/{index}/id")
        seen.add(item.id)
        items.append((item, text))
    return items


def _item_read(given: Any, index: int) -> tuple[str, str]:
    """The id (its index when it has none) and the text of an item."""
    if isinstance(given, str):
        return str(index), given
    if isinstance(given, dict) and given.keys() <= {"id", "text"} and isinstance(given.get("text"), str):
        name = given.get("id", str(index))
        if isinstance(name, str) and 0 < len(name) <= 200 and name.isprintable():
            return name, given["text"]
    raise NotAnItem()


def _found(request: Request, answer: Answer, asked: Options) -> dict[str, Any]:
    found = found_in(
        answer.text,
        answer.recognition,
        output_format=asked.output_format,
        unit=asked.offset_unit,
        confidence=asked.return_confidence,
    )
    if asked.mask_pii:
        personal = cast(Caller, request.user).rules.personal
        found["masked_text"] = masked(answer.text, answer.recognition.spans, personal)
    return found


def _average_confidence(answers: list[Answer]) -> float | None:
    numbers = [
        span.confidence
        for answer in answers
        for span in answer.recognition.spans
        if span.confidence is not None
    ]
    return round(sum(numbers) / len(numbers), 4) if numbers else None


def _request_id(request: Request) -> str:
    return str(getattr(request, "request_id", ""))


def _milliseconds(started: float) -> float:
    return round((time.perf_counter() - started) * 1000, 3)
