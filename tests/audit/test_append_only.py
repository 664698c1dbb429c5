"""The role that serves requests can add to history, and nothing else. Nor can the owner's careless SQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psycopg2
import pytest
from django.db import DatabaseError, connection, connections, transaction

from audit.models import AuditEvent
from audit.services import SYSTEM, event_record
from corpus.models import Project
from nerapp.management.commands.prepare_database import append_only_tables
from tests.conftest import superuser

pytestmark = pytest.mark.django_db

STATEMENTS = (
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
    "ALTER TABLE {table} DISABLE TRIGGER ALL",
    "DROP TABLE {table} CASCADE",
    "CREATE INDEX mine ON {table} ({column})",
)


def columns() -> Iterator[tuple[str, str]]:
    """Each history table, and its first column."""
    for table in append_only_tables():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s LIMIT 1", [table]
            )
            yield table, cursor.fetchone()[0]


def test_the_application_cannot_change_remove_or_disarm_history(project: Project) -> None:
    tables = dict(columns())
    assert {"audit_auditevent", "feedback_correction", "feedback_spandecision"} <= set(tables)
    for table, column in tables.items():
        for statement in STATEMENTS:
            sql = statement.format(table=f'"{table}"', column=f'"{column}"')
            with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(sql)
            assert connection.is_usable(), sql


def test_the_application_cannot_switch_triggers_off_for_its_session(db: None) -> None:
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")


def test_the_application_cannot_become_the_owner(db: None) -> None:
    owner = connections.settings["owner"]["USER"]
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f'SET ROLE "{owner}"')


@pytest.mark.django_db(transaction=True)
def test_even_a_superuser_must_disarm_the_triggers_first(project: Project) -> None:
    """Rights and triggers fail independently: one mistake is not enough."""
    with contextlib.closing(superuser("nerapp")) as owner, owner.cursor() as cursor:
        for statement in (
            "UPDATE audit_auditevent SET reason = 'forged'",
            "DELETE FROM audit_auditevent",
            "TRUNCATE audit_auditevent",
        ):
            with pytest.raises(psycopg2.Error, match=r"(?i)append.only|cannot"):
                cursor.execute(statement)
    assert AuditEvent.objects.exists()


def test_what_the_application_may_do_is_append(project: Project) -> None:
    before = AuditEvent.objects.count()
    with transaction.atomic():
        event_record(action="project.change", actor=SYSTEM, subject=project, chain=project.slug)
    assert AuditEvent.objects.count() == before + 1
