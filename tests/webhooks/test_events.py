"""What webhooks hear of: read from what others wrote, each event once, and never a text."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone

from audit.services import SYSTEM, event_record
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from feedback.models import Correction
from feedback.services import correction_submit
from inference.models import ApiKey, ModelVersion, Prediction
from inference.services import (
    api_key_create,
    deployment_set,
    version_promote,
    version_register,
    version_roll_back,
)
from tests.bundles import WORDS, tiny_bundle
from tests.factories import document_make
from webhooks.models import Delivery, EventKind, Webhook
from webhooks.services import (
    events_take,
    webhook_change,
    webhook_create,
    webhook_switch_off,
    webhook_switch_on,
)
from webhooks.services.events import MOST_WAITING, STEP, WINDOW

pytestmark = pytest.mark.django_db
TEXT = "Ada Lovelace moved to London in 1835."


@pytest.fixture
def correct(project: Project, ana: User) -> Callable[[], Correction]:
    """Ana corrects another text."""

    def made() -> Correction:
        return correction_submit(
            document=document_make(project, f"{TEXT} {Correction.objects.count()}"),
            spans=[{"start": 0, "end": 12, "label": "per", "text": "Ada Lovelace"}],
            base_number=0,
            author=ana,
            prediction=None,
            stratum="random",
            milliseconds=4200,
            idempotency_key=str(Correction.objects.count()),
        )

    return made


@pytest.fixture
def answer(project: Project, champion: ModelVersion) -> Callable[..., Prediction]:
    """A caller is answered."""
    key, _ = api_key_create(project=project, name="shop", scopes=["predict"], actor=SYSTEM)

    def made(*sure: float | None, ago: float = 60, key: ApiKey | None = key) -> Prediction:
        spans = [{"start": 0, "end": 3, "label": "per", "text": "Ada", "confidence": c} for c in sure]
        document = None if key else document_make(project, f"{TEXT} {timezone.now()}")
        prediction = Prediction.objects.create(
            project=project,
            version=champion,
            text=TEXT if key else "",
            document=document,
            spans=spans,
            uncertainty=0.5,
            slot="champion",
            latency_ms=1,
            api_key=key,
        )
        moment = timezone.now() - timedelta(seconds=ago)
        Prediction.objects.filter(pk=prediction.pk).update(created_at=moment)
        return prediction

    return made


def listening_since(webhook: Webhook, *, ago: timedelta) -> None:
    Webhook.objects.filter(pk=webhook.pk).update(read_until=timezone.now() - ago)


def told(webhook: Webhook) -> list[tuple[str, dict[str, Any]]]:
    return list(webhook.deliveries.order_by("created_at").values_list("kind", "data"))


def test_a_correction_is_told_by_its_ids(webhook: Webhook, correct: Callable[[], Correction]) -> None:
    correction = correct()
    assert events_take(webhook=webhook) == 1
    assert told(webhook) == [
        (
            "correction.created",
            {
                "project": "orchard",
                "correction": str(correction.pk),
                "document": str(correction.document_id),
                "number": 1,
                "prediction": None,
                "stratum": "random",
                "spans": 1,
                "decisions": {"add": 1},
            },
        )
    ]


def test_a_new_champion_is_told_however_it_came_to_be(
    webhook: Webhook, champion: ModelVersion, project: Project, tmp_path: Path
) -> None:
    better = version_register(
        path=tiny_bundle(tmp_path / "two", {**WORDS, "Bramley": "B-geo"}),
        name="orchard",
        project=project,
        actor=SYSTEM,
    )
    version_promote(
        project=project, version=better, expected_generation=1, actor=SYSTEM, reason="Ada said so"
    )
    version_roll_back(project=project, expected_generation=2, actor=SYSTEM, reason="worse")
    deployment_set(project=project, slot="speed", version=better, actor=SYSTEM, reason="quick")
    deployment_set(project=project, slot="champion", version=better, actor=SYSTEM, reason="by hand")
    events_take(webhook=webhook)
    moves = [(data["from"], data["to"], data["generation"], data["rolled_back"]) for _, data in told(webhook)]
    assert moves == [
        (None, "orchard@1", 1, False),
        ("orchard@1", "orchard@2", 2, False),
        ("orchard@2", "orchard@1", 3, True),
        ("orchard@1", "orchard@2", 4, False),
    ]
    assert {kind for kind, _ in told(webhook)} == {"model.promoted"}
    assert "Ada said so" not in json.dumps(told(webhook)), "why is a person's own words"


def test_the_end_of_a_training_is_told_good_or_bad(webhook: Webhook, project: Project) -> None:
    run = "retraining.trainingrun:7"
    with transaction.atomic():
        for action, data in (
            ("run.start", {}),
            ("run.finish", {"candidate": "orchard@2", "passed": True}),
            ("run.fail", {"error": "could not read “Ada Lovelace”"}),
        ):
            event_record(action=action, actor=SYSTEM, subject=run, chain=project.slug, data=data)
    events_take(webhook=webhook)
    assert [data for _, data in told(webhook)] == [
        {"project": "orchard", "run": 7, "status": "done", "candidate": "orchard@2", "passed": True},
        {"project": "orchard", "run": 7, "status": "failed", "candidate": None, "passed": None},
    ]


def test_what_becomes_of_a_candidate_is_told_in_ids_and_numbers(webhook: Webhook, project: Project) -> None:
    p95 = {"code": "p95_ms", "state": "broken", "words": "slow on “Ada”", "value": 0.2, "limit": 0.05}
    fine = {"code": "error_rate", "state": "met", "words": "fine", "value": 0.0, "limit": 0.01}
    rollout = {"version": "orchard@2", "champion": "orchard@1", "status": "active", "share_before": 5.0}
    with transaction.atomic():
        for action, subject, data in (
            (
                "gate.judge",
                "inference.modelversion:9",
                {"run": 7, "candidate": "orchard@2", "passed": False, "difference": -0.1, "refused": ["f1"]},
            ),
            ("rollout.approve", "retraining.rollout:3", rollout | {"share": 5.0}),
            ("rollout.advance", "retraining.rollout:3", rollout | {"share": 10.0, "next_share": 25.0}),
            ("rollout.roll_back", "retraining.rollout:3", rollout | {"share": 0.0, "findings": [fine, p95]}),
            (
                "experiment.drop",
                "retraining.experiment:4",
                {"version": "orchard@3", "slot": "challenger-2", "share": 25.0},
            ),
            ("experiment.end", "retraining.experiment:4", {"outcome": "win", "winner": "orchard@2"}),
            (
                "drift.found",
                "retraining.driftreport:5",
                {"version": "orchard@1", "texts": 200, "drifted": {"unknown_words": [0.4, 0.1]}},
            ),
        ):
            event_record(
                action=action,
                actor=SYSTEM,
                subject=subject,
                chain=project.slug,
                reason="because Ada said so",
                data=data,
            )
    events_take(webhook=webhook)
    assert [(kind, data | {"project": None}) for kind, data in told(webhook)] == [
        (kind, {"project": None, **data})
        for kind, data in (
            (
                "gate.judged",
                {"run": 7, "candidate": "orchard@2", "passed": False, "difference": -0.1, "refused": ["f1"]},
            ),
            (
                "rollout.step",
                {"rollout": 3, "change": "advance", **rollout, "share": 10.0, "next_share": 25.0},
            ),
            (
                "rollout.rolled_back",
                {
                    "rollout": 3,
                    "version": "orchard@2",
                    "champion": "orchard@1",
                    "share_before": 5.0,
                    "broken": [{"code": "p95_ms", "value": 0.2, "limit": 0.05}],
                },
            ),
            (
                "experiment.arm_dropped",
                {"experiment": 4, "version": "orchard@3", "slot": "challenger-2", "share": 25.0},
            ),
            ("experiment.ended", {"experiment": 4, "outcome": "win", "winner": "orchard@2"}),
            (
                "drift.detected",
                {
                    "report": 5,
                    "version": "orchard@1",
                    "texts": 200,
                    "drifted": {"unknown_words": [0.4, 0.1]},
                },
            ),
        )
    ]
    assert "Ada" not in json.dumps(told(webhook)), "why is a person's own words"


def test_an_unsure_answer_to_a_caller_is_told(webhook: Webhook, answer: Callable[..., Prediction]) -> None:
    listening_since(webhook, ago=timedelta(hours=1))
    unsure = answer(0.9, 0.31, None)
    answer(0.5)  # just sure enough
    answer()  # nothing found, nothing to be unsure of
    answer(None)
    answer(0.1, key=None)  # a document's, not a caller's
    Prediction.objects.filter(pk=answer(0.1).pk).update(api_key=None)  # nor is that of a person
    answer(0.1, ago=1)  # settles
    events_take(webhook=webhook)
    unsure_ones = [data for kind, data in told(webhook) if kind == EventKind.LOW_CONFIDENCE]
    assert unsure_ones == [
        {
            "project": "orchard",
            "prediction": str(unsure.pk),
            "version": "orchard@1",
            "slot": "champion",
            "spans": 3,
            "least_confidence": 0.31,
            "bar": 0.5,
        }
    ]


def test_what_settles_is_told_later_and_nothing_twice(
    webhook: Webhook, answer: Callable[..., Prediction], correct: Callable[[], Correction]
) -> None:
    listening_since(webhook, ago=timedelta(hours=1))
    correct()
    answer(0.1)
    young = answer(0.2, ago=1)
    first = events_take(webhook=webhook)
    assert first == 3  # with the promotion of the champion
    assert events_take(webhook=webhook) == 0
    assert events_take(webhook=webhook, now=timezone.now() + timedelta(minutes=1)) == 1
    assert webhook.deliveries.filter(event=f"prediction:{young.pk}").exists()
    assert events_take(webhook=webhook, now=timezone.now() + timedelta(minutes=1)) == 0


def test_what_is_read_twice_is_told_once(
    webhook: Webhook, answer: Callable[..., Prediction], correct: Callable[[], Correction]
) -> None:
    """A cursor that was set back, by a restored backup or by hand, repeats nothing."""
    listening_since(webhook, ago=timedelta(hours=1))
    before = Webhook.objects.get(pk=webhook.pk)
    correct()
    answer(0.1)
    events_take(webhook=webhook)
    told_once = set(webhook.deliveries.values_list("pk", flat=True))
    assert len(told_once) == 3
    before.save(update_fields=["read_number", "read_until", "read_prediction"])
    events_take(webhook=webhook)
    assert set(webhook.deliveries.values_list("pk", flat=True)) == told_once


def test_each_webhook_hears_of_what_it_chose_in_its_own_project(
    webhook: Webhook, project: Project, correct: Callable[[], Correction], champion: ModelVersion
) -> None:
    url, alone = webhook.url, [EventKind.PROMOTED]
    picky, _ = webhook_create(project=project, name="picky", url=url, kinds=alone, actor=SYSTEM)
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    foreign, _ = webhook_create(project=other, name="far", url=url, kinds=EventKind.values, actor=SYSTEM)
    correct()
    assert [events_take(webhook=one) for one in (webhook, picky, foreign)] == [2, 0, 0]
    webhook_change(webhook=picky, name="picky", url=url, kinds=EventKind.values, actor=SYSTEM)
    assert events_take(webhook=picky) == 0, "what it had not chosen then is not told now"
    correct()
    assert events_take(webhook=picky) == 1


def test_what_happened_before_it_was_made_or_while_it_was_off_is_not_told(
    webhook: Webhook, project: Project, correct: Callable[[], Correction]
) -> None:
    correct()
    late, _ = webhook_create(
        project=project, name="late", url=webhook.url, kinds=EventKind.values, actor=SYSTEM
    )
    assert events_take(webhook=late) == 0
    webhook_switch_off(webhook=late, actor=SYSTEM, reason="holidays")
    correct()
    assert events_take(webhook=late) == 0
    webhook_switch_on(webhook=late, actor=SYSTEM)
    assert events_take(webhook=late) == 0
    correct()
    assert events_take(webhook=late) == 1


def test_many_events_and_many_answers_come_in_steps_with_none_left_out(
    webhook: Webhook, answer: Callable[..., Prediction], project: Project
) -> None:
    listening_since(webhook, ago=timedelta(hours=1))
    one = answer(0.1)
    same_moment = Prediction.objects.get(pk=one.pk).created_at
    rows = [
        Prediction(
            project=project, version=one.version, text=TEXT, spans=one.spans, uncertainty=0.5,
            latency_ms=1, api_key=one.api_key,
        )
        for _ in range(STEP + 20)
    ]  # fmt: skip
    Prediction.objects.bulk_create(rows)
    Prediction.objects.filter(pk__in=[row.pk for row in rows]).update(created_at=same_moment)
    assert events_take(webhook=webhook) == STEP + 1  # the promotion
    assert events_take(webhook=webhook) == 21
    assert webhook.deliveries.filter(kind=EventKind.LOW_CONFIDENCE).count() == STEP + 21


def test_a_long_silence_is_read_in_windows(webhook: Webhook, answer: Callable[..., Prediction]) -> None:
    since = WINDOW * 30
    listening_since(webhook, ago=since)
    early, late = answer(0.1, ago=since.total_seconds() - 60), answer(0.1)
    heard: list[set[str]] = []
    for _ in range(4):
        events_take(webhook=webhook)
        unsure = webhook.deliveries.filter(kind=EventKind.LOW_CONFIDENCE)
        heard.append(set(unsure.values_list("event", flat=True)))
    assert heard[0] == {f"prediction:{early.pk}"}
    assert heard[3] == {f"prediction:{early.pk}", f"prediction:{late.pk}"}


def test_a_webhook_with_much_to_tell_reads_no_further(
    webhook: Webhook, correct: Callable[[], Correction]
) -> None:
    Delivery.objects.bulk_create(
        Delivery(webhook=webhook, event=f"x:{n}", kind="webhook.test", occurred_at=timezone.now(), data={})
        for n in range(MOST_WAITING)
    )
    correct()
    assert events_take(webhook=webhook) == 0
    webhook.deliveries.filter(event="x:0").update(status="delivered", ended_at=timezone.now())
    assert events_take(webhook=webhook) == 1, "nothing was lost meanwhile"


def test_no_delivery_holds_a_text_or_a_name(
    webhook: Webhook, answer: Callable[..., Prediction], correct: Callable[[], Correction]
) -> None:
    listening_since(webhook, ago=timedelta(hours=1))
    answer(0.1)
    correct()
    assert events_take(webhook=webhook) == 3
    with connection.cursor() as cursor:
        cursor.execute("SELECT d::text FROM webhooks_delivery d")
        stored = " ".join(row for (row,) in cursor.fetchall())
    for private in ("Ada", "Lovelace", "London", "ana"):
        assert private not in stored
