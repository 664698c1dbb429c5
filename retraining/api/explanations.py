"""`GET retraining/why` and `retraining/lineage/{reference}`: why a version serves, where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any

import msgspec
from drf_spectacular.utils import OpenApiParameter, extend_schema
from msgspec import Meta
from rest_framework.request import Request
from rest_framework.response import Response

from corpus.errors import NotFound
from corpus.models import Project
from inference.models import ApiKey
from inference.selectors import version_named
from inference.wire import KeyView
from retraining.api.paging import PAGE, page_asked
from retraining.lineage import Answers, Lessons, Lineage, Step, Tally, lessons_of, lineage_of
from retraining.models import TrainingSetItem
from retraining.why import Why, why_serving


class Move(msgspec.Struct, kw_only=True):
    """One change of the champion, as the audit log has it."""

    at: datetime
    by: str
    action: Annotated[str, Meta(examples=["version.promote"])]
    previous: Annotated[str | None, Meta(description="Who answered before; null for nobody.")]
    model_version: str
    reason: str


class Attempted(msgspec.Struct, kw_only=True):
    """Something that was tried since the champion came, and why it did not take its place."""

    at: datetime
    kind: Annotated[str, Meta(description="`run`, `rollout` or `experiment`.")]
    id: int
    model_version: str | None
    outcome: str
    reasons: list[str]


class Explanation(msgspec.Struct, kw_only=True):
    """Why the champion of the key's project is serving."""

    model_version: str
    since: datetime
    sentences: Annotated[list[str], Meta(description="The answer in plain words, the weightiest first.")]
    run: Annotated[int | None, Meta(description="The training that made it.")]
    verdict: Annotated[dict[str, Any] | None, Meta(description="The gate's, with its reasons.")]
    attempts: Annotated[list[Attempted], Meta(description="The newest 20, newest first.")]
    moves: Annotated[list[Move], Meta(description="The newest 20 changes of the champion, newest first.")]


class Related(msgspec.Struct, kw_only=True):
    """A version that this one came from, or that came from it."""

    model_version: str
    run: Annotated[int | None, Meta(description="The training that made it; null where none did.")]
    passed: Annotated[bool | None, Meta(description="What the gate said; null where none has judged it.")]


class Counted(msgspec.Struct, kw_only=True):
    """How many there are of one kind."""

    name: str
    count: int


class CountedDay(msgspec.Struct, kw_only=True):
    """How many there are of one day."""

    day: date
    count: int


class Lesson(msgspec.Struct, kw_only=True):
    """A correction that the version was made with. Its text is read where corrections are."""

    id: int
    correction: Annotated[str, Meta(description="Its id.")]
    document: Annotated[str, Meta(description="The id of the text.")]
    split: Annotated[str, Meta(description="`train`, `dev` or `test`: learned from, tuned on, judged by.")]
    stratum: str
    by: str
    at: datetime


class LearnedFrom(msgspec.Struct, kw_only=True):
    """What the version was made with."""

    training_set: Annotated[str, Meta(description="The fingerprint of the frozen set.")]
    base_corpus: Annotated[str | None, Meta(description="What was rehearsed beside the corrections.")]
    total: int
    splits: list[Counted]
    strata: list[Counted]
    authors: Annotated[list[Counted], Meta(description="The 20 with the most.")]
    days: Annotated[list[CountedDay], Meta(description="The newest 20 days on which there were any.")]
    corrections: Annotated[list[Lesson], Meta(description="A page of them, newest first.")]
    next: Annotated[int | None, Meta(description="Ask for those before it with `before`; null at the end.")]


class Answered(msgspec.Struct, kw_only=True):
    """What the version answered in the key's project, among its newest 10,000 answers anywhere."""

    count: int
    is_cut: Annotated[bool, Meta(description="It gave more than 10,000; the older ones are not counted.")]
    days: list[CountedDay]
    slots: list[Counted]
    reviewed: Annotated[int, Meta(description="How many of them people have looked at.")]
    changed: Annotated[int, Meta(description="How many of those they did not leave as they were.")]
    newest: Annotated[list[str], Meta(description="The ids of the newest 20 predictions.")]


class VersionLineage(msgspec.Struct, kw_only=True):
    """A version, back to the corrections it was made from, and forward to its answers."""

    model_version: str
    run: int | None
    queued_because: Annotated[str | None, Meta(description="Why its training was queued.")]
    learned_from: Annotated[LearnedFrom | None, Meta(description="Null where it was not trained here.")]
    ancestors: Annotated[
        list[Related], Meta(description="Its parent first; the last is the model that it began with.")
    ]
    ancestors_left_out: Annotated[int, Meta(description="How many are missing before the last.")]
    answered: Answered
    children: Annotated[list[Related], Meta(description="The newest 20 that were trained on top of it.")]


class WhyView(KeyView):
    """Why is this model serving?"""

    scope = ApiKey.Scope.MODELS

    @extend_schema(operation_id="why_serving", tags=["models"], responses=Explanation)
    def get(self, request: Request) -> Response:
        why = why_serving(project=self.key(request).project)
        if why is None:
            raise NotFound()
        return Response(_body(why))


class LineageView(KeyView):
    """Where a version comes from, and what became of it."""

    scope = ApiKey.Scope.MODELS
    parameters = ("limit", "before")

    @extend_schema(
        operation_id="lineage_read",
        tags=["models"],
        responses=VersionLineage,
        parameters=[
            OpenApiParameter("reference", str, OpenApiParameter.PATH, description="`name@number`."),
            *PAGE,
        ],
    )
    def get(self, request: Request, reference: str) -> Response:
        project = self.key(request).project
        lineage = lineage_of(
            version=version_named(project, reference), projects=Project.objects.filter(pk=project.pk)
        )
        lessons: tuple[list[TrainingSetItem], int | None] = ([], None)
        if lineage.lessons is not None:
            lessons = page_asked(request, lessons_of(lineage.lessons.training_set))
        return Response(_lineage(lineage, *lessons))


def _lineage(lineage: Lineage, lessons: list[TrainingSetItem], following: int | None) -> VersionLineage:
    learned = lineage.lessons
    return VersionLineage(
        model_version=str(lineage.version),
        run=lineage.run.pk if lineage.run else None,
        queued_because=lineage.because or None,
        learned_from=_learned(learned, lessons, following) if learned is not None else None,
        ancestors=[_related(one) for one in lineage.ancestors],
        ancestors_left_out=lineage.ancestors_left_out,
        answered=_answered(lineage.answers),
        children=[_related(one) for one in lineage.children],
    )


def _learned(learned: Lessons, lessons: list[TrainingSetItem], following: int | None) -> LearnedFrom:
    training_set = learned.training_set
    return LearnedFrom(
        training_set=training_set.fingerprint,
        base_corpus=str(training_set.base_corpus) if training_set.base_corpus else None,
        total=learned.total,
        splits=_counted(learned.splits),
        strata=_counted(learned.strata),
        authors=_counted(learned.authors),
        days=_days(learned.days),
        corrections=[
            Lesson(
                id=item.pk,
                correction=str(item.correction_id),
                document=str(item.correction.document_id),
                split=item.split,
                stratum=item.correction.stratum,
                by=item.correction.by,
                at=item.correction.created_at,
            )
            for item in lessons
        ],
        next=following,
    )


def _answered(answers: Answers) -> Answered:
    return Answered(
        count=answers.count,
        is_cut=answers.is_cut,
        days=_days(answers.days),
        slots=_counted(answers.slots),
        reviewed=answers.reviewed,
        changed=answers.changed,
        newest=[str(prediction.pk) for prediction in answers.newest],
    )


def _related(step: Step) -> Related:
    verdict = step.run.verdict if step.run else None
    return Related(
        model_version=str(step.version),
        run=step.run.pk if step.run else None,
        passed=verdict["passed"] if verdict else None,
    )


def _counted(tally: Tally) -> list[Counted]:
    return [Counted(name=name, count=count) for name, count in tally]


def _days(days: Sequence[tuple[date, int]]) -> list[CountedDay]:
    return [CountedDay(day=day, count=count) for day, count in days]


def _body(why: Why) -> Explanation:
    return Explanation(
        model_version=str(why.version),
        since=why.deployment.changed_at,
        sentences=why.sentences,
        run=why.run.pk if why.run else None,
        verdict=why.run.verdict if why.run else None,
        attempts=[
            Attempted(
                at=one.at,
                kind=one.kind,
                id=one.id,
                model_version=str(one.version) if one.version else None,
                outcome=one.outcome,
                reasons=list(one.reasons),
            )
            for one in why.attempts
        ],
        moves=[
            Move(
                at=move.at,
                by=move.actor_name,
                action=move.action,
                previous=move.data.get("from"),
                model_version=move.data["to"],
                reason=move.reason,
            )
            for move in why.moves
        ],
    )
