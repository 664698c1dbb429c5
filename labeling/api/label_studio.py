"""Label Studio's ML backend protocol: nerapp answers as a model, and takes annotations as corrections.

Its users move step by step: their project asks us for pre-annotations (`predict`), and tells us what its
annotators made of them (`webhook`). Offsets are code points on both sides. A key is the password of basic
authentication, or the bearer of a webhook's own header.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import msgspec
from django.conf import settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from corpus.errors import DomainError
from corpus.selectors import label_set_current, labels_of
from corpus.services import document_store, text_check
from feedback.models import Stratum
from feedback.selectors import correction_current, correction_known
from feedback.services import correction_submit
from inference.errors import BatchTooLarge
from inference.models import ApiKey
from inference.selectors import champion_of, label_rules
from inference.services import Answer, prediction_make
from inference.wire import texts_cost
from labeling.errors import FileRefused
from ner.errors import FormatError
from ner.formats import label_studio
from ner.formats.label_studio_config import TextLabels, text_labels
from ner.formats.source import Reading

SOURCE = "label-studio"
_TAKEN = frozenset({"ANNOTATION_CREATED", "ANNOTATION_UPDATED"})


class Task(msgspec.Struct):
    """One text of a Label Studio project."""

    data: dict[str, Any]
    id: int | str | None = None


class SetupRequest(msgspec.Struct):
    """What Label Studio tells when a model is connected."""

    schema: str = ""


class PredictRequest(msgspec.Struct):
    """Tasks to pre-annotate."""

    tasks: list[Task]
    label_config: Annotated[str, msgspec.Meta(max_length=100_000)]


class WebhookRequest(msgspec.Struct):
    """Something happened in Label Studio."""

    action: str
    annotation: dict[str, Any] = {}
    task: dict[str, Any] = {}


class _Adapter(APIView):
    """What all of them share. They follow Label Studio's contract, not ours, and stay out of our schema."""

    scope = ApiKey.Scope.PREDICT
    schema = None
    body: Any = SetupRequest
    body_limit = settings.LIMITS["batch_body_bytes"]

    @property
    def key(self) -> ApiKey:
        """The key of whoever asks."""
        return cast(ApiKey, self.request.auth)


class HealthView(_Adapter):
    """GET: we are there, and this is the model that would answer."""

    def get(self, request: Request) -> Response:
        return Response(
            {"status": "UP", "model_class": "nerapp", "model_version": str(champion_of(self.key.project))}
        )


class SetupView(_Adapter):
    """POST: a project was connected; its configuration must have labels for a text."""

    def post(self, request: Request) -> Response:
        asked = cast(SetupRequest, request.data or SetupRequest())
        if asked.schema:
            _tags(asked.schema)
        return Response({"model_version": str(champion_of(self.key.project))})


class PredictView(_Adapter):
    """POST: pre-annotate tasks, in their order. A task without a text is answered by no spans."""

    body = PredictRequest
    #: Checked task by task: a bad one does not fail the others.
    unchecked = "tasks"

    def cost(self, request: Request) -> int:
        """One for each text, as for a batch of ours."""
        return texts_cost(len(cast(PredictRequest, request.data).tasks) if request.data else 0)

    def post(self, request: Request) -> Response:
        asked = cast(PredictRequest, request.data)
        limit = settings.LIMITS["batch_texts"]
        if len(asked.tasks) > limit:
            raise BatchTooLarge(pointer="/tasks", limit=limit, count=len(asked.tasks))
        tags = _tags(asked.label_config)
        texts = {place: text for place, task in enumerate(asked.tasks) if (text := _text(task, tags))}
        project = self.key.project
        answers = prediction_make(
            project=project,
            texts=list(texts.values()),
            api_key=self.key,
            request_id=str(getattr(request, "request_id", "")),
            thresholds=label_rules(project).thresholds,
        )
        by_place = dict(zip(texts, answers, strict=True))
        return Response(
            {"results": [_result(by_place.get(place), tags) for place in range(len(asked.tasks))]}
        )


class WebhookView(_Adapter):
    """POST: an annotation becomes the next correction of its text; whatever else happened is let pass."""

    scope = ApiKey.Scope.FEEDBACK
    body = WebhookRequest
    body_limit = settings.LIMITS["feedback_body_bytes"]

    def cost(self, request: Request) -> int:
        """One, however many spans."""
        return 1

    def post(self, request: Request) -> Response:
        told = cast(WebhookRequest, request.data)
        if told.action not in _TAKEN or not told.task:
            return Response({"taken": False})
        number = _take(self.key, told)
        return Response({"taken": number is not None, "number": number}, status=201 if number else 200)


def _take(api_key: ApiKey, told: WebhookRequest) -> int | None:
    """The number of the correction that an annotation became; None for one that holds no spans."""
    project = api_key.project
    # Told again, an annotation is stored once; changed, it is the next correction.
    changed = told.annotation.get("updated_at") or told.annotation.get("created_at") or ""
    key = f"{SOURCE}:{told.annotation.get('id')}:{changed}".replace(" ", "_")[:255]
    if (known := correction_known(api_key=api_key, idempotency_key=key)) is not None:
        return int(known.number)
    try:
        record = label_studio.read_task(
            {**told.task, "annotations": [told.annotation], "predictions": []},
            Reading(allow_overlap=project.allow_overlap),
        )
    except FormatError as error:
        raise FileRefused(error) from error
    if record.spans is None:
        return None
    ours = {
        label.name.casefold(): label.name for label in labels_of(label_set=label_set_current(project=project))
    }
    document, _is_new = document_store(
        project=project, text=record.text, source=SOURCE, external_id=f"{SOURCE}:{record.id}"[:200]
    )
    current = correction_current(document)
    correction = correction_submit(
        document=document,
        spans=[
            {**span.to_json(record.text), "label": ours.get(span.label.casefold(), span.label)}
            for span in record.spans
        ],
        base_number=current.number if current else 0,
        api_key=api_key,
        prediction=None,
        stratum=Stratum.IMPORT,
        milliseconds=_milliseconds(told.annotation.get("lead_time")),
        idempotency_key=key,
    )
    return correction.number


def _tags(config: str) -> TextLabels:
    try:
        return text_labels(config)
    except FormatError as error:
        raise FileRefused(error) from error


def _text(task: Task, tags: TextLabels) -> str | None:
    """The text of a task where it has one that we can read."""
    text = task.data.get(tags.key)
    if not isinstance(text, str):
        return None
    try:
        text_check(text, limit=settings.LIMITS["predict_characters"])
    except DomainError:
        return None
    return text


def _result(answer: Answer | None, tags: TextLabels) -> dict[str, Any]:
    if answer is None:
        return {"result": [], "score": 0.0}
    marks = [
        {
            "id": f"nerapp-{number}",
            "from_name": tags.from_name,
            "to_name": tags.to_name,
            "type": "labels",
            "value": {**label_studio.span_value(answer.text, span), "labels": [name]},
            **({} if span.confidence is None else {"score": round(span.confidence, 4)}),
        }
        for number, span in enumerate(answer.recognition.spans)
        if (name := tags.label(span.label)) is not None
    ]
    return {
        "result": marks,
        "score": round(1 - answer.recognition.uncertainty, 4),
        "model_version": str(answer.serving.version),
    }


def _milliseconds(seconds: Any) -> int:
    is_time = isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 86_400
    return int(seconds * 1000) if is_time else 0
