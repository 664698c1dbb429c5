"""`manage.py audit_verify` finds what somebody with every right did to the log, and names the row."""

from __future__ import annotations

import contextlib
import random
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from audit.models import AuditEvent
from audit.services import GENESIS, SYSTEM, event_hash, event_record
from tests.conftest import superuser

pytestmark = pytest.mark.django_db(transaction=True)


def record(count: int, chain: str = "demo") -> None:
    with transaction.atomic():
        for number in range(count):
            event_record(
                action="project.change",
                actor=SYSTEM,
                subject=f"corpus.project:{number}",
                chain=chain,
                reason=f"reason {number}",
                data={"n": number, "nested": {"é": [1, 2.5, None]}},
            )


def tamper(*statements: str) -> None:
    """Do something to the log that only a superuser can, with the triggers off."""
    with contextlib.closing(superuser("nerapp")) as owner, owner.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)


def verify(**options: str) -> tuple[int, str]:
    """Exit status and output of the command."""
    out = StringIO()
    try:
        call_command("audit_verify", stdout=out, **options)
    except CommandError as error:
        return error.returncode, out.getvalue()
    return 0, out.getvalue()


def test_an_untouched_log_holds_and_its_heads_are_printed() -> None:
    record(3)
    record(2, "system")
    status, out = verify()
    assert status == 0
    heads = {
        event.chain: f"{event.chain} {event.number}:{event.hash}"
        for event in AuditEvent.objects.order_by("number")
    }
    assert sorted(out.splitlines()) == sorted(heads.values())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("reason", "'forged'"),
        ("actor", "'user:1'"),
        ("actor_name", "'somebody else'"),
        ("action", "'api_key.create'"),
        ("subject", "'corpus.project:9'"),
        ("data", "'{\"n\": 9}'"),
        ("at", "now() - interval '1 day'"),
        ("request_id", "'other'"),
    ],
)
def test_a_changed_event_is_named(column: str, value: str) -> None:
    record(4)
    tamper(f"UPDATE audit_auditevent SET {column} = {value} WHERE number = 2")
    status, out = verify()
    assert status == 1
    assert "BROKEN demo #2: its content was changed after it was written" in out


def test_a_removed_event_is_named() -> None:
    record(4)
    tamper("DELETE FROM audit_auditevent WHERE number = 3")
    status, out = verify()
    assert status == 1
    assert "BROKEN demo #3: event 3 is missing" in out


def test_a_forged_event_with_a_sound_hash_of_its_own_is_named() -> None:
    record(3)
    event = AuditEvent.objects.get(number=2)
    event.reason = "forged"
    tamper(f"UPDATE audit_auditevent SET reason = 'forged', hash = '{event_hash(event)}' WHERE number = 2")
    status, out = verify()
    assert status == 1
    assert "BROKEN demo #3: does not follow the event before it" in out


def test_an_event_slipped_in_at_the_front_is_named() -> None:
    record(2)
    tamper(
        "UPDATE audit_auditevent SET number = number + 10", "UPDATE audit_auditevent SET number = number - 9"
    )
    status, out = verify()
    assert status == 1
    assert "BROKEN demo #1: event 1 is missing" in out


def test_a_cut_tail_shows_against_a_line_kept_elsewhere() -> None:
    record(4)
    _, kept = verify()
    number_and_hash = kept.split()[1]
    tamper("DELETE FROM audit_auditevent WHERE number = 4")
    assert verify()[0] == 0
    status, out = verify(chain="demo", expect=number_and_hash)
    assert status == 1
    assert "BROKEN demo #4: the events after 3 are missing" in out


def test_a_chain_written_anew_shows_against_a_line_kept_elsewhere() -> None:
    record(2)
    _, kept = verify()
    previous, statements = GENESIS, []
    for event in AuditEvent.objects.order_by("number"):
        event.reason, event.previous_hash = "forged", previous
        event.hash = previous = event_hash(event)
        statements.append(
            f"UPDATE audit_auditevent SET reason = 'forged', previous_hash = '{event.previous_hash}', "
            f"hash = '{event.hash}' WHERE number = {event.number}"
        )
    tamper(*statements)
    assert verify()[0] == 0
    status, out = verify(chain="demo", expect=kept.split()[1])
    assert status == 1
    assert "BROKEN demo #2: is not the event that was kept elsewhere" in out


def test_one_chain_can_be_asked_for_and_an_unknown_one_is_said() -> None:
    record(1)
    record(1, "system")
    assert verify(chain="system")[1].startswith("system 1:")
    assert verify(chain="nothing")[0] == 2
    assert verify(chain="demo", expect="nonsense")[0] == 2


def test_every_one_of_many_random_edits_is_found() -> None:
    record(40)
    dice = random.Random(7)
    for _ in range(25):
        number = dice.randint(1, 40)
        before = AuditEvent.objects.get(number=number)
        place = dice.randrange(len(before.reason))
        letter = "x" if before.reason[place] != "x" else "y"
        forged = before.reason[:place] + letter + before.reason[place + 1 :]
        tamper(f"UPDATE audit_auditevent SET reason = '{forged}' WHERE number = {number}")
        status, out = verify()
        assert status == 1
        assert f"#{number}:" in out
        tamper(f"UPDATE audit_auditevent SET reason = '{before.reason}' WHERE number = {number}")
    assert verify()[0] == 0
