"""Telling: signed, tried for a day, written down, given up, sent again, switched off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.utils import timezone
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from audit.models import AuditEvent
from audit.services import SYSTEM
from inference.errors import ReasonRequired
from tests.webhooks.receiver import Receiver, replying
from webhooks.errors import AddressRefused, KindUnknown, NothingChosen, StillWaiting
from webhooks.models import Attempt, Delivery, EventKind, Webhook
from webhooks.services import deliveries as telling
from webhooks.services import (
    deliveries_forget,
    delivery_resend,
    webhook_change,
    webhook_create,
    webhook_rotate,
    webhook_switch_off,
    webhook_test,
    webhook_turn,
)
from webhooks.services.deliveries import (
    LEASE,
    MOST_TRIES,
    SWITCHED_OFF_AFTER,
    TRIED_FOR,
    delay_after,
    delivery_try,
)
from webhooks.signing import headers_of, secret_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(webhook: Webhook) -> Delivery:
    """Something to tell."""
    return webhook_test(webhook=webhook, actor=SYSTEM)


def due_now(webhook: Webhook) -> None:
    """The time until the next try has passed."""
    webhook.deliveries.filter(status="waiting").update(due_at=timezone.now() - timedelta(seconds=1))
    Webhook.objects.filter(pk=webhook.pk).update(paused_until=None)


def turn(webhook: Webhook) -> int:
    return webhook_turn(webhook_id=webhook.pk)


def outcomes(delivery: Delivery) -> list[tuple[int, str, int | None]]:
    return list(delivery.tries.order_by("number").values_list("number", "outcome", "http_status"))


# --- Signed ------------------------------------------------------------------------------------------


def test_a_message_verifies_with_the_secret_and_with_no_other(
    hooked: tuple[Webhook, str], waiting: Delivery, receiver: Receiver
) -> None:
    webhook, secret = hooked
    assert secret.startswith("whsec_")
    assert turn(webhook) == 1
    assert receiver.messages(secret) == [
        {
            "type": "webhook.test",
            "timestamp": waiting.occurred_at.isoformat(),
            "data": {"project": "orchard", "webhook": str(webhook.pk)},
        }
    ]
    (got,) = receiver.got
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"].startswith("nerapp/")
    assert got.headers["webhook-id"] == waiting.message_id
    other = secret_of(webhook, number=2)
    for body, headers, key in (
        (got.body.replace("orchard", "0rchard"), got.headers, secret),
        (got.body, {**got.headers, "webhook-id": "msg_other"}, secret),
        (got.body, {**got.headers, "webhook-timestamp": "1700000000"}, secret),
        (got.body, got.headers, other),
    ):
        with pytest.raises(WebhookVerificationError):
            Verifier(key).verify(body, headers)


def test_after_a_rotation_both_secrets_verify_for_a_day(
    hooked: tuple[Webhook, str], waiting: Delivery, receiver: Receiver
) -> None:
    webhook, old = hooked
    webhook, new = webhook_rotate(webhook=webhook, actor=SYSTEM)
    assert old != new
    turn(webhook)
    assert receiver.messages(old) == receiver.messages(new)
    webhook.former_secret_until = timezone.now() - timedelta(seconds=1)
    later = headers_of(webhook, message_id="msg_1", body="{}", now=timezone.now())
    Verifier(new).verify("{}", later)
    with pytest.raises(WebhookVerificationError):
        Verifier(old).verify("{}", later)


def test_the_secret_is_nowhere_in_the_database(hooked: tuple[Webhook, str]) -> None:
    webhook, secret = hooked
    webhook, newer = webhook_rotate(webhook=webhook, actor=SYSTEM)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT w::text FROM webhooks_webhook w UNION SELECT e::text FROM webhooks_webhookevent e"
            " UNION SELECT a::text FROM audit_auditevent a"
        )
        stored = " ".join(row for (row,) in cursor.fetchall())
    assert "whsec_" not in stored
    for word in (secret, newer):
        assert word.removeprefix("whsec_") not in stored


def test_no_two_webhooks_share_a_secret(hooked: tuple[Webhook, str], settings: Any) -> None:
    webhook, secret = hooked
    assert secret_of(Webhook()) != secret
    settings.API_KEY_PEPPER = "another"
    assert secret_of(webhook) != secret


# --- Tried again -------------------------------------------------------------------------------------


def test_a_refused_message_is_tried_again_under_its_id(
    hooked: tuple[Webhook, str], waiting: Delivery, receiver: Receiver
) -> None:
    webhook, secret = hooked
    receiver.answer = replying(503, b"not now")
    turn(webhook)
    assert turn(webhook) == 0, "it is not due yet"
    due_now(webhook)
    receiver.answer = 204
    turn(webhook)
    waiting.refresh_from_db()
    assert (waiting.status, waiting.attempts) == (Delivery.Status.DELIVERED, 2)
    assert outcomes(waiting) == [(1, "status", 503), (2, "ok", 204)]
    assert waiting.tries.get(number=1).excerpt == "not now"
    assert receiver.ids == [waiting.message_id] * 2
    assert receiver.got[0].body == receiver.got[1].body
    assert len(receiver.messages(secret)) == 2


def test_the_tries_of_a_day_stand_further_and_further_apart() -> None:
    delays = [delay_after(number) for number in range(1, 20)]
    for number, delay in enumerate(delays, 1):
        middle = min(5 * 4 ** (number - 1), 3 * 3600)
        assert 0.8 * middle <= delay <= 1.2 * middle
    assert len({delay_after(5) for _ in range(20)}) == 20, "they are scattered"
    total, tries = 0.0, 0
    while total < TRIED_FOR.total_seconds():
        tries += 1
        total += min(5 * 4 ** (tries - 1), 3 * 3600)
    assert 10 <= tries <= 16


def test_after_a_day_it_is_given_up_and_a_person_may_send_it_again(
    webhook: Webhook, waiting: Delivery, receiver: Receiver
) -> None:
    receiver.answer = 500
    turn(webhook)
    with pytest.raises(StillWaiting):
        delivery_resend(delivery=waiting, actor=SYSTEM)
    Delivery.objects.filter(pk=waiting.pk).update(retry_from=F("retry_from") - TRIED_FOR)
    due_now(webhook)
    turn(webhook)
    waiting.refresh_from_db()
    assert waiting.status == Delivery.Status.DEAD
    assert waiting.ended_at is not None
    due_now(webhook)
    assert turn(webhook) == 0

    again = delivery_resend(delivery=waiting, actor=SYSTEM)
    assert AuditEvent.objects.get(action="webhook.resend").data["delivery"] == str(waiting.pk)
    turn(webhook)
    again.refresh_from_db()
    assert again.status == Delivery.Status.WAITING, "it has another day"
    due_now(webhook)
    receiver.answer = 200
    turn(webhook)
    again.refresh_from_db()
    assert again.status == Delivery.Status.DELIVERED
    assert [number for number, *_ in outcomes(again)] == [1, 2, 3, 4]
    assert set(receiver.ids) == {waiting.message_id}


def test_a_delivered_message_can_be_sent_again(
    webhook: Webhook, waiting: Delivery, receiver: Receiver
) -> None:
    turn(webhook)
    delivery_resend(delivery=waiting, actor=SYSTEM)
    turn(webhook)
    assert receiver.ids == [waiting.message_id] * 2


def test_one_refused_message_does_not_keep_the_others_back(webhook: Webhook, receiver: Receiver) -> None:
    for _ in range(3):
        webhook_test(webhook=webhook, actor=SYSTEM)
    first = Delivery.objects.order_by("created_at").first()
    assert first is not None

    def picky(handler: Any) -> None:
        replying(422 if handler.headers["webhook-id"] == first.message_id else 204)(handler)

    receiver.answer = picky
    assert turn(webhook) == 3
    assert sorted(Delivery.objects.values_list("status", flat=True)) == ["delivered", "delivered", "waiting"]


def test_an_address_that_does_not_answer_is_left_alone_for_a_while(
    webhook: Webhook, settings: Any, receiver: Receiver
) -> None:
    for _ in range(3):
        webhook_test(webhook=webhook, actor=SYSTEM)
    networks, settings.WEBHOOK_NETWORKS = settings.WEBHOOK_NETWORKS, []
    assert turn(webhook) == 1, "the others are not even tried"
    webhook.refresh_from_db()
    assert webhook.failing_since is not None
    assert webhook.paused_until is not None
    assert turn(webhook) == 0
    assert list(Attempt.objects.values_list("outcome", flat=True)) == ["address"]
    settings.WEBHOOK_NETWORKS = networks
    due_now(webhook)
    assert turn(webhook) == 3
    webhook.refresh_from_db()
    assert (webhook.failing_since, webhook.paused_until) == (None, None)
    assert len(set(receiver.ids)) == 3


def test_the_longer_it_fails_the_longer_it_is_left_alone(webhook: Webhook, settings: Any) -> None:
    settings.WEBHOOK_NETWORKS = []
    pauses = []
    for failing in (timedelta(0), timedelta(minutes=2), timedelta(hours=5)):
        webhook_test(webhook=webhook, actor=SYSTEM)
        since = timezone.now() - failing if failing else None
        Webhook.objects.filter(pk=webhook.pk).update(failing_since=since)
        due_now(webhook)
        turn(webhook)
        webhook.refresh_from_db()
        assert webhook.paused_until is not None
        pauses.append((webhook.paused_until - timezone.now()).total_seconds())
    assert pauses == pytest.approx([5, 60, 600], abs=3)


# --- Switched off ------------------------------------------------------------------------------------


def test_after_days_without_success_it_is_switched_off_with_a_reason(
    webhook: Webhook, waiting: Delivery, receiver: Receiver
) -> None:
    receiver.answer = 500
    turn(webhook)
    webhook.refresh_from_db()
    assert webhook.off_at is None
    Webhook.objects.filter(pk=webhook.pk).update(failing_since=F("failing_since") - SWITCHED_OFF_AFTER)
    due_now(webhook)
    turn(webhook)
    webhook.refresh_from_db()
    waiting.refresh_from_db()
    assert webhook.off_at is not None
    assert webhook.off_reason == "Nothing was accepted for 3 days; the last try: status 500."
    assert waiting.status == Delivery.Status.DEAD
    event = AuditEvent.objects.get(action="webhook.switch_off")
    assert (event.actor, event.reason, event.data) == ("system", webhook.off_reason, {"given_up": 1})


def test_one_success_begins_the_days_anew(webhook: Webhook, waiting: Delivery, receiver: Receiver) -> None:
    receiver.answer = 500
    turn(webhook)
    Webhook.objects.filter(pk=webhook.pk).update(failing_since=F("failing_since") - SWITCHED_OFF_AFTER)
    due_now(webhook)
    receiver.answer = 200
    turn(webhook)
    webhook.refresh_from_db()
    assert (webhook.failing_since, webhook.off_at) == (None, None)


def test_a_receiver_that_is_gone_for_good_says_so(
    webhook: Webhook, waiting: Delivery, receiver: Receiver
) -> None:
    receiver.answer = 410
    turn(webhook)
    webhook.refresh_from_db()
    assert "410" in webhook.off_reason


def test_switching_off_needs_a_reason_and_gives_up_what_waits(webhook: Webhook, waiting: Delivery) -> None:
    with pytest.raises(ReasonRequired):
        webhook_switch_off(webhook=webhook, actor=SYSTEM, reason=" ")
    webhook_switch_off(webhook=webhook, actor=SYSTEM, reason="moved away")
    waiting.refresh_from_db()
    assert waiting.status == Delivery.Status.DEAD
    webhook_switch_off(webhook=webhook, actor=SYSTEM, reason="again")
    assert AuditEvent.objects.filter(action="webhook.switch_off").count() == 1


def test_a_test_reaches_one_that_is_switched_off(webhook: Webhook, receiver: Receiver) -> None:
    webhook_switch_off(webhook=webhook, actor=SYSTEM, reason="moved away")
    webhook_test(webhook=webhook, actor=SYSTEM)
    assert turn(webhook) == 1
    assert len(receiver.got) == 1


# --- One worker at a time ----------------------------------------------------------------------------


def test_a_second_worker_finds_the_turn_taken_until_the_lease_lapses(
    webhook: Webhook, waiting: Delivery, receiver: Receiver
) -> None:
    Webhook.objects.filter(pk=webhook.pk).update(
        lease_token="00000000-0000-0000-0000-000000000001", lease_expires_at=timezone.now() + LEASE
    )
    assert turn(webhook) == 0
    Webhook.objects.filter(pk=webhook.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    assert turn(webhook) == 1
    webhook.refresh_from_db()
    assert webhook.lease_token is None


def test_of_two_who_hold_the_same_row_one_sends_it(waiting: Delivery, receiver: Receiver) -> None:
    stale = Delivery.objects.select_related("webhook__project").get(pk=waiting.pk)
    fresh = Delivery.objects.select_related("webhook__project").get(pk=waiting.pk)
    receiver.answer = 500  # it goes on waiting
    assert delivery_try(delivery=fresh)
    assert not delivery_try(delivery=stale)
    assert len(receiver.got) == 1


def test_a_worker_that_died_in_the_middle_leaves_its_try_and_another_follows(
    webhook: Webhook, waiting: Delivery, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """What no code of ours catches."""

    def killed(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(telling.wire, "post", killed)
        with pytest.raises(Killed):
            turn(webhook)
    assert outcomes(waiting) == [(1, "started", None)]
    assert turn(webhook) == 0, "it might still be at work"
    due_now(webhook)
    turn(webhook)
    assert outcomes(waiting) == [(1, "started", None), (2, "ok", 204)]


def test_a_message_that_kills_its_worker_each_time_is_given_up(
    webhook: Webhook, waiting: Delivery, receiver: Receiver
) -> None:
    Delivery.objects.filter(pk=waiting.pk).update(retry_number=MOST_TRIES)
    turn(webhook)
    waiting.refresh_from_db()
    assert waiting.status == Delivery.Status.DEAD
    assert receiver.got == []


def test_a_late_word_of_failure_does_not_undo_a_success(webhook: Webhook, waiting: Delivery) -> None:
    turn(webhook)
    attempt = Attempt.objects.create(delivery=waiting, number=9)
    telling._write_down(attempt, telling.wire.Answer(Attempt.Outcome.TIMEOUT), milliseconds=5000)
    waiting.refresh_from_db()
    assert waiting.status == Delivery.Status.DELIVERED


# --- Making and forgetting ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({"url": "https://10.0.0.1/"}, AddressRefused),
        ({"url": "https://169.254.169.254/latest/meta-data/"}, AddressRefused),
        ({"url": "ftp://example.org/"}, AddressRefused),
        ({"kinds": ["everything"]}, KindUnknown),
        ({"kinds": [EventKind.PROMOTED, "webhook.test"]}, KindUnknown),
        ({"kinds": []}, NothingChosen),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_neither_made_nor_kept(
    webhook: Webhook, changed: dict[str, Any], refused: type[Exception]
) -> None:
    wanted = {"name": "new", "url": webhook.url, "kinds": [EventKind.PROMOTED], "actor": SYSTEM, **changed}
    with pytest.raises(refused):
        webhook_create(project=webhook.project, **wanted)
    with pytest.raises(refused):
        webhook_change(webhook=webhook, **wanted)
    assert list(Webhook.objects.values_list("name", flat=True)) == ["warehouse"]


def test_the_audit_log_tells_the_host_and_not_the_whole_address(webhook: Webhook) -> None:
    webhook_change(
        webhook=webhook,
        name="warehouse",
        url=f"{webhook.url}/T0K3N",
        kinds=[EventKind.PROMOTED],
        actor=SYSTEM,
    )
    events = AuditEvent.objects.filter(action__startswith="webhook.").order_by("number")
    assert [event.action for event in events] == ["webhook.create", "webhook.change"]
    assert all(event.data["host"] == "127.0.0.1" for event in events)
    assert "T0K3N" not in str(list(events.values()))


def test_what_ended_long_ago_is_forgotten(webhook: Webhook, waiting: Delivery, settings: Any) -> None:
    turn(webhook)
    kept = webhook_test(webhook=webhook, actor=SYSTEM)
    assert deliveries_forget() == 0
    long_ago = timezone.now() - timedelta(days=settings.WEBHOOK_KEEP_DAYS, hours=1)
    Delivery.objects.filter(pk=waiting.pk).update(ended_at=long_ago)
    assert deliveries_forget() == 1
    assert list(Delivery.objects.all()) == [kept]
    assert not Attempt.objects.exists()
