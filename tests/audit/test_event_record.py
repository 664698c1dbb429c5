from __future__ import annotations

import pytest
from django.db import DatabaseError, connection, transaction

from audit.models import AuditEvent
from audit.selectors import chain_faults
from audit.services import SYSTEM, event_record
from tests.conftest import superuser

pytestmark = pytest.mark.django_db


def record(number: int = 1) -> AuditEvent:
    return event_record(
        action="project.change", actor=SYSTEM, subject="corpus.project:1", chain="demo", data={"n": number}
    )


def test_it_numbers_and_chains_events() -> None:
    first, second = record(1), record(2)
    assert (first.number, second.number) == (1, 2)
    assert second.previous_hash == first.hash
    assert list(chain_faults(chain="demo")) == []


def test_it_refuses_an_action_that_nobody_listed() -> None:
    with pytest.raises(ValueError, match="not an audit action"):
        event_record(action="project.explode", actor=SYSTEM, subject="x")


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_run_outside_the_transaction_of_what_it_records() -> None:
    with pytest.raises(RuntimeError, match="inside the transaction"):
        record()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_auditevent SET reason = 'forged'",
        "DELETE FROM audit_auditevent",
        "TRUNCATE audit_auditevent",
        "ALTER TABLE audit_auditevent DISABLE TRIGGER ALL",
        "SET session_replication_role = replica",
    ],
)
def test_the_application_role_cannot_change_history(statement: str) -> None:
    record()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.get().reason == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE audit_auditevent SET reason = 'forged' WHERE number = 2", "its content was changed"),
        ("DELETE FROM audit_auditevent WHERE number = 2", "event 2 is missing"),
    ],
)
def test_verification_finds_what_a_superuser_changed(statement: str, told: str) -> None:
    with transaction.atomic():
        for number in (1, 2, 3):
            record(number)
    tamper = superuser("nerapp")
    with tamper.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement)
    tamper.close()
    faults = list(chain_faults(chain="demo"))
    assert [fault.number for fault in faults][:1] == [2]
    assert told in faults[0].message
