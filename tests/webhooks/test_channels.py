"""Channels: sentences for people, several events in one, quiet while a change is planned."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.db.utils import IntegrityError
from django.utils import timezone

from audit.models import AuditEvent
from audit.services import SYSTEM, event_record
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from inference.errors import ReasonRequired
from tests.webhooks.mailserver import MailServer, mailing
from tests.webhooks.receiver import Receiver
from webhooks.errors import (
    AddressRefused,
    KindUnknown,
    MailAddressRefused,
    MailNotSet,
    NothingChosen,
    TooLong,
)
from webhooks.models import FOR_PEOPLE, Delivery, EventKind, PlannedChange, Webhook
from webhooks.sentences import MOST_LINES, SAID, message_of
from webhooks.services import (
    channel_change,
    channel_create,
    delivery_resend,
    events_take,
    planned_change_create,
    planned_change_end,
    webhook_test,
    webhook_turn,
)
from webhooks.told import STEP, TOLD

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(settings: LazySettings) -> Iterator[MailServer]:
    """The operator's mail server, and where people open nerapp."""
    with mailing() as made:
        settings.MAIL_SERVER = f"smtp://127.0.0.1:{made.port}"
        settings.MAIL_FROM = "nerapp@example.org"
        settings.SITE_URL = "https://ner.example.org"
        yield made


@pytest.fixture
def make(project: Project) -> Callable[..., Webhook]:
    """Make a channel of the project."""

    def made(form: str = "mail", url: str = "ada@example.org, bob@example.org", **more: Any) -> Webhook:
        wanted = {"name": "on call", "language": "en", "kinds": list(FOR_PEOPLE)} | more
        return channel_create(project=project, form=form, url=url, actor=SYSTEM, **wanted)

    return made


@pytest.fixture
def channel(server: MailServer, make: Callable[..., Webhook]) -> Webhook:
    """Two people hear of everything by mail."""
    return make()


@pytest.fixture
def happens(project: Project) -> Callable[..., None]:
    """Something is written into the audit log."""

    def recorded(*actions: str, reason: str = "Ada Lovelace said so", **more: Any) -> None:
        with transaction.atomic():
            for action in actions:
                subject, data = EVENTS[action]
                event_record(
                    action=action,
                    actor=SYSTEM,
                    subject=subject,
                    chain=project.slug,
                    reason=reason,
                    data=data | more,
                )

    return recorded


ROLLOUT = {"version": "orchard@2", "champion": "orchard@1", "status": "active", "share_before": 5.0}
BROKEN = {"code": "p95_ms", "state": "broken", "words": "slow on “Ada”", "value": 0.21, "limit": 0.05}
EVENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "gate.judge": (
        "inference.modelversion:9",
        {"run": 7, "candidate": "orchard@2", "passed": True, "difference": 0.021, "refused": []},
    ),
    "rollout.start": ("retraining.rollout:3", ROLLOUT | {"share": 0.0}),
    "rollout.advance": ("retraining.rollout:3", ROLLOUT | {"share": 10.0, "next_share": 25.0}),
    "rollout.finish": ("retraining.rollout:3", ROLLOUT | {"share": 100.0}),
    "rollout.roll_back": ("retraining.rollout:3", ROLLOUT | {"share": 0.0, "findings": [BROKEN]}),
    "version.roll_back": (
        "inference.deployment:1",
        {"from": "orchard@2", "to": "orchard@1", "generation": 3, "slot": "champion"},
    ),
    "experiment.drop": (
        "retraining.experiment:4",
        {"version": "orchard@3", "slot": "challenger-2", "share": 25.0},
    ),
    "experiment.end": ("retraining.experiment:4", {"outcome": "win", "winner": "orchard@2"}),
    "drift.found": (
        "retraining.driftreport:5",
        {"version": "orchard@1", "texts": 200, "drifted": {"unknown_words": [0.4, 0.1]}},
    ),
    "run.fail": ("retraining.trainingrun:7", {"error": "could not read “Ada Lovelace”"}),
}


def later(seconds: float = 90) -> Any:
    return timezone.now() + timedelta(seconds=seconds)


def said(channel: Webhook) -> list[list[str]]:
    """The events of each message that was made for it."""
    return [
        [event["type"] for event in data["events"]]
        for data in channel.deliveries.order_by("created_at").values_list("data", flat=True)
    ]


def tell(channel: Webhook) -> int:
    return webhook_turn(webhook_id=channel.pk)


# --- By mail and by chat -----------------------------------------------------------------------------


def test_a_mail_tells_in_a_sentence_and_says_where_to_look(
    channel: Webhook, server: MailServer, happens: Callable[..., None]
) -> None:
    happens("rollout.roll_back")
    assert events_take(webhook=channel) == 1
    assert tell(channel) == 1
    ((recipients, mail),) = server.got
    assert recipients == ["ada@example.org", "bob@example.org"]
    assert mail["From"] == "nerapp@example.org"
    words = (
        "The rollout of orchard@2 was rolled back from 5 % of the callers to orchard@1: p95_ms 0.21 > 0.05."
    )
    assert str(mail["Subject"]) == f"[{channel.project}] {words}"
    assert words in server.texts[0]
    assert "https://ner.example.org/admin/" in server.texts[0]
    assert Delivery.objects.get().status == "delivered"


def test_a_chat_gets_the_same_by_a_post_with_nothing_to_break_out_of(
    receiver: Receiver,
    may_reach: Callable[..., None],
    make: Callable[..., Webhook],
    happens: Callable[..., None],
    settings: LazySettings,
) -> None:
    may_reach(receiver.port)
    settings.SITE_URL = "https://ner.example.org"
    channel = make("slack", receiver.url, kinds=[EventKind.JUDGED])
    happens("gate.judge", candidate="<!channel> & co")
    events_take(webhook=channel, now=later())
    tell(channel)
    (got,) = receiver.got
    assert "webhook-signature" not in got.headers, "nobody there has a secret to verify it with"
    text = json.loads(got.body)["text"]
    assert "The gate let &lt;!channel&gt; &amp; co pass: +2.1 points of F1" in text
    assert "<https://ner.example.org/admin/retraining/trainingrun/7/change/|" in text
    assert "<!channel>" not in text


def test_it_speaks_the_language_of_the_channel(
    server: MailServer, make: Callable[..., Webhook], happens: Callable[..., None]
) -> None:
    channel = make(language="de")
    happens("experiment.end")
    events_take(webhook=channel, now=later())
    tell(channel)
    assert "Experiment 4 endete: orchard@2 ist besser." in server.texts[0]


def test_without_an_address_of_our_own_there_are_no_links(
    channel: Webhook, server: MailServer, happens: Callable[..., None], settings: LazySettings
) -> None:
    settings.SITE_URL = ""
    happens("rollout.roll_back")
    events_take(webhook=channel)
    tell(channel)
    assert "http" not in server.texts[0]
    assert "/admin/" not in server.texts[0]


def test_every_event_for_people_has_its_sentence(channel: Webhook, happens: Callable[..., None]) -> None:
    assert set(SAID) == set(FOR_PEOPLE)
    happens(*(action for action in EVENTS if action != "rollout.roll_back"))
    for change in ("ask", "pause", "resume", "stop"):
        happens("rollout.finish", change=change)
    for outcome in ("loss", "futility", "stopped", "interrupted"):
        happens("experiment.end", outcome=outcome)
    happens("gate.judge", passed=False, refused=["floor"], difference=None)
    events_take(webhook=channel, now=later())
    for delivery in channel.deliveries.all():
        for line in message_of(delivery).lines:
            assert line.words
            assert "{" not in line.words
            assert line.link.startswith("https://ner.example.org/admin/")


def test_no_message_holds_a_persons_words(
    channel: Webhook, server: MailServer, happens: Callable[..., None]
) -> None:
    happens(*EVENTS)
    events_take(webhook=channel, now=later())
    tell(channel)
    with connection.cursor() as cursor:
        cursor.execute("SELECT d::text FROM webhooks_delivery d")
        stored = " ".join(row for (row,) in cursor.fetchall())
    assert server.texts
    for text in (stored, *server.texts):
        assert "Ada" not in text
        assert "Lovelace" not in text


# --- When nobody takes it ----------------------------------------------------------------------------


def test_a_mail_that_is_refused_is_tried_again_under_the_same_id(
    channel: Webhook, server: MailServer, happens: Callable[..., None]
) -> None:
    server.answer = "451 too busy for <b>you</b>"
    delivery = webhook_test(webhook=channel, actor=SYSTEM)
    tell(channel)
    (attempt,) = delivery.tries.all()
    assert (attempt.outcome, attempt.http_status) == ("status", 451)
    assert "too busy" in attempt.excerpt
    server.answer = ""
    channel.deliveries.update(due_at=timezone.now())
    tell(channel)
    delivery_resend(delivery=delivery, actor=SYSTEM)
    tell(channel)
    first, second = (mail["Message-ID"] for _, mail in server.got)
    assert first == second == f"<{delivery.message_id}@example.org>"
    assert "This is a test: the channel “on call” works." in server.texts[0]


def test_a_mail_that_one_of_two_may_not_have_is_not_sent_to_the_other_again(
    channel: Webhook, server: MailServer
) -> None:
    server.refused = {"bob@example.org"}
    delivery = webhook_test(webhook=channel, actor=SYSTEM)
    tell(channel)
    assert [recipients for recipients, _ in server.got] == [["ada@example.org"]]
    attempt = delivery.tries.get()
    assert (attempt.outcome, attempt.excerpt) == ("ok", "1/2 refused")
    server.refused = {"ada@example.org", "bob@example.org"}
    again = webhook_test(webhook=channel, actor=SYSTEM)
    tell(channel)
    assert (again.tries.get().outcome, again.tries.get().http_status) == ("status", 550)


@pytest.mark.parametrize("url", ["", "smtp://127.0.0.1:1"])
def test_without_a_mail_server_a_mail_waits_and_says_why(
    channel: Webhook, settings: LazySettings, url: str
) -> None:
    settings.MAIL_SERVER = url
    delivery = webhook_test(webhook=channel, actor=SYSTEM)
    tell(channel)
    assert delivery.tries.get().outcome == "unreached"
    delivery.refresh_from_db()
    assert delivery.status == "waiting"


# --- Several in one ----------------------------------------------------------------------------------


def test_what_happens_within_a_minute_is_one_message(
    channel: Webhook, server: MailServer, happens: Callable[..., None]
) -> None:
    happens("gate.judge")
    assert events_take(webhook=channel) == 0, "more may follow"
    happens("rollout.start", "rollout.advance")
    assert events_take(webhook=channel) == 0
    assert events_take(webhook=channel, now=later()) == 1
    assert said(channel) == [["gate.judged", "rollout.step", "rollout.step"]]
    assert events_take(webhook=channel, now=later(1000)) == 0, "nothing twice"
    tell(channel)
    ((_, mail),) = server.got
    assert str(mail["Subject"]) == f"[{channel.project}] 3 events"
    happens("experiment.end")
    assert events_take(webhook=channel, now=later()) == 1
    assert said(channel)[1] == ["experiment.ended"]


def test_a_rollback_waits_for_nothing_and_is_told_once(
    channel: Webhook, happens: Callable[..., None]
) -> None:
    happens("rollout.advance")
    happens("version.roll_back", "rollout.roll_back")
    assert events_take(webhook=channel) == 1
    assert said(channel) == [["model.promoted", "rollout.rolled_back"]]
    assert events_take(webhook=channel) == 0
    assert events_take(webhook=channel, now=later()) == 1
    assert said(channel)[1] == ["rollout.step"]
    assert events_take(webhook=channel, now=later()) == 0


def test_the_subject_of_a_rollback_says_so_whatever_came_with_it(
    channel: Webhook, server: MailServer, happens: Callable[..., None]
) -> None:
    happens("version.roll_back", "rollout.roll_back")
    events_take(webhook=channel)
    tell(channel)
    ((_, mail),) = server.got
    assert "The rollout of orchard@2 was rolled back" in str(mail["Subject"])
    assert "The champion was rolled back from orchard@2 to orchard@1." in server.texts[0]


def test_a_flood_is_counted_and_none_is_left_out(
    channel: Webhook, server: MailServer, happens: Callable[..., None]
) -> None:
    happens(*["rollout.advance"] * (STEP + 3))
    assert [events_take(webhook=channel, now=later()) for _ in range(3)] == [1, 1, 0]
    assert [len(events) for events in said(channel)] == [STEP, 3]
    tell(channel)
    assert f"And {STEP - MOST_LINES} more events." in server.texts[0]
    assert server.texts[0].count("went on") == MOST_LINES


def test_a_cursor_that_was_set_back_repeats_nothing(channel: Webhook, happens: Callable[..., None]) -> None:
    before = Webhook.objects.get(pk=channel.pk)
    happens("rollout.advance", "rollout.roll_back")
    events_take(webhook=channel, now=later())
    made = set(channel.deliveries.values_list("pk", flat=True))
    assert len(made) == 2
    before.save(update_fields=["read_number", "read_urgent"])
    events_take(webhook=channel, now=later())
    assert set(channel.deliveries.values_list("pk", flat=True)) == made


def test_what_a_channel_has_not_chosen_is_not_told(
    server: MailServer, make: Callable[..., Webhook], happens: Callable[..., None]
) -> None:
    channel = make(kinds=[EventKind.DRIFTED])
    happens("gate.judge", "rollout.roll_back", "drift.found")
    events_take(webhook=channel, now=later())
    assert said(channel) == [["drift.detected"]]


# --- Planned changes ---------------------------------------------------------------------------------


@pytest.fixture
def planned(project: Project) -> PlannedChange:
    """Somebody changes something for an hour from now on."""
    now = timezone.now()
    return planned_change_create(
        project=project,
        begins_at=now - timedelta(seconds=1),
        ends_at=now + timedelta(hours=1),
        reason="moving house",
        actor=SYSTEM,
    )


def test_during_a_planned_change_rollbacks_are_told_and_the_rest_in_one_summary(
    channel: Webhook, server: MailServer, planned: PlannedChange, happens: Callable[..., None]
) -> None:
    happens("gate.judge", "rollout.start")
    assert events_take(webhook=channel, now=later(600)) == 0
    happens("rollout.roll_back")
    assert events_take(webhook=channel, now=later(600)) == 1
    happens("drift.found")
    assert events_take(webhook=channel, now=later(3000)) == 0
    assert said(channel) == [["rollout.rolled_back"]]

    assert events_take(webhook=channel, now=later(3700)) == 1
    assert said(channel)[1] == ["gate.judged", "rollout.step", "rollout.rolled_back", "drift.detected"]
    assert events_take(webhook=channel, now=later(3700)) == 0
    while tell(channel):
        pass
    subjects = [str(mail["Subject"]) for _, mail in server.got]
    assert subjects[-1] == f"[{channel.project}] What happened during the planned change: 4 events"
    assert "moving house" not in "".join(server.texts), "why is a person's own words"


def test_a_change_that_is_over_early_is_summed_up_at_once(
    channel: Webhook, planned: PlannedChange, happens: Callable[..., None]
) -> None:
    happens("rollout.advance")
    assert events_take(webhook=channel, now=later(120)) == 0
    planned_change_end(change=planned, actor=SYSTEM)
    assert events_take(webhook=channel) == 1
    ends = AuditEvent.objects.filter(action="planned_change.end")
    planned_change_end(change=planned, actor=SYSTEM)
    assert ends.count() == 1
    assert AuditEvent.objects.get(action="planned_change.create").reason == "moving house"


def test_a_change_that_was_called_off_keeps_nobody_quiet(
    channel: Webhook, project: Project, happens: Callable[..., None]
) -> None:
    soon = timezone.now() + timedelta(seconds=30)
    change = planned_change_create(
        project=project, begins_at=soon, ends_at=soon + timedelta(hours=1), reason="x", actor=SYSTEM
    )
    planned_change_end(change=change, actor=SYSTEM)
    happens("rollout.advance")
    assert events_take(webhook=channel, now=later()) == 1
    assert not channel.deliveries.get().data["summary"]


def test_neither_a_change_to_come_nor_another_projects_keeps_anybody_quiet(
    channel: Webhook, project: Project, happens: Callable[..., None]
) -> None:
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    for whose, begins in ((project, later(3600)), (other, timezone.now())):
        planned_change_create(
            project=whose, begins_at=begins, ends_at=begins + timedelta(hours=2), reason="x", actor=SYSTEM
        )
    happens("rollout.advance")
    assert events_take(webhook=channel, now=later()) == 1
    assert not channel.deliveries.get().data["summary"]


def test_systems_are_told_as_ever(
    webhook: Webhook, planned: PlannedChange, happens: Callable[..., None]
) -> None:
    happens("rollout.advance", "gate.judge")
    assert events_take(webhook=webhook) == 2


@pytest.mark.parametrize(("begins", "ends"), [(0, 0), (10, 5), (0, 8 * 24), (-5, -1)])
def test_a_change_that_makes_no_sense_is_not_announced(project: Project, begins: int, ends: int) -> None:
    now = timezone.now()
    with pytest.raises(TooLong):
        planned_change_create(
            project=project,
            begins_at=now + timedelta(hours=begins),
            ends_at=now + timedelta(hours=ends),
            reason="x",
            actor=SYSTEM,
        )


def test_a_change_needs_its_reason(project: Project) -> None:
    now = timezone.now()
    with pytest.raises(ReasonRequired):
        planned_change_create(
            project=project, begins_at=now, ends_at=now + timedelta(hours=1), reason=" ", actor=SYSTEM
        )


# --- Made and changed --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"url": "ada"}, MailAddressRefused),
        ({"url": "ada@example.org\nBcc: eve@example.org"}, MailAddressRefused),
        ({"url": " , "}, MailAddressRefused),
        ({"kinds": []}, NothingChosen),
        ({"kinds": [EventKind.CORRECTION]}, KindUnknown),
        ({"form": "slack", "url": "https://10.0.0.1/services/x"}, AddressRefused),
        ({"form": "slack", "url": "ada@example.org"}, AddressRefused),
    ],
    ids=str,
)
def test_a_channel_that_makes_no_sense_is_not_made(
    server: MailServer, make: Callable[..., Webhook], changed: dict[str, Any], refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        make(**changed)
    assert not Webhook.objects.exists()


def test_a_channel_tells_what_happens_from_now_on_in_its_own_project(
    server: MailServer, make: Callable[..., Webhook], happens: Callable[..., None]
) -> None:
    happens("rollout.advance", "rollout.roll_back")
    channel = make()
    other = project_create(slug="other", name="Other", labels=[LabelDraft(name="per")], actor=SYSTEM)
    happens("drift.found")
    subject, data = EVENTS["rollout.roll_back"]
    for _ in range(9):
        event_record(action="rollout.roll_back", actor=SYSTEM, subject=subject, chain=other.slug, data=data)
    assert events_take(webhook=channel, now=later()) == 1
    assert said(channel) == [["drift.detected"]]


def test_a_channel_with_a_new_address_is_not_blamed_for_the_old_one_and_both_are_written_down(
    channel: Webhook,
) -> None:
    Webhook.objects.update(failing_since=timezone.now(), paused_until=later())
    told: dict[str, Any] = {"name": "on call", "language": "en", "kinds": channel.kinds, "actor": SYSTEM}
    assert channel_change(channel=channel, url="ada@example.org,bob@example.org", **told).failing_since
    changed = channel_change(channel=channel, url="mia@example.org", **told)
    assert (changed.failing_since, changed.paused_until) == (None, None)
    acts = AuditEvent.objects.filter(action__startswith="channel.").order_by("number")
    assert list(acts.values_list("action", flat=True)) == ["channel.create", *["channel.change"] * 2]


def test_a_channel_is_not_led_into_our_own_network_by_a_change(
    make: Callable[..., Webhook], may_reach: Callable[..., None], receiver: Receiver
) -> None:
    may_reach(receiver.port)
    chat = make("slack", receiver.url)
    told: dict[str, Any] = {"name": "chat", "language": "en", "kinds": chat.kinds, "actor": SYSTEM}
    with pytest.raises(AddressRefused):
        channel_change(channel=chat, url=f"http://10.0.0.1:{receiver.port}/services/x", **told)
    chat.refresh_from_db()
    assert chat.url == receiver.url


def test_nobody_is_mailed_without_a_mail_server(make: Callable[..., Webhook]) -> None:
    with pytest.raises(MailNotSet):
        make()


def test_the_database_keeps_mail_addresses_and_the_rest_apart(channel: Webhook) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Webhook.objects.filter(pk=channel.pk).update(form="slack")


def test_neither_addresses_of_people_nor_secrets_of_chats_are_in_the_audit_log(
    channel: Webhook, make: Callable[..., Webhook], may_reach: Callable[..., None], receiver: Receiver
) -> None:
    may_reach(receiver.port)
    chat = make("slack", receiver.url.replace("/hook", "/services/T0/B0/xyzzy"))
    channel_change(channel=chat, name="chat", url="", language="de", kinds=[EventKind.DRIFTED], actor=SYSTEM)
    chat.refresh_from_db()
    assert chat.url.endswith("/services/T0/B0/xyzzy"), "an empty address leaves it as it was"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a::text FROM audit_auditevent a UNION SELECT e::text FROM webhooks_webhookevent e"
        )
        stored = " ".join(row for (row,) in cursor.fetchall())
    assert "example.org" not in stored
    assert "xyzzy" not in stored
    assert "webhooks.channel:" in stored


def test_people_are_told_of_nothing_that_systems_are_not() -> None:
    assert set(FOR_PEOPLE) <= {kind for kind, _ in TOLD.values()}
