"""`manage.py prepare_database`: migrate as the owner, then give the application role its rights.

The role that runs the application owns no table: it cannot change the schema, switch a trigger off, or
UPDATE, DELETE and TRUNCATE history. Run it after every upgrade; it is safe to run again.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections
from psycopg2 import sql

#: Tables whose rows are history: the application may only read them and append.
APPEND_ONLY = ("audit.AuditEvent", "feedback.Correction", "feedback.SpanDecision", "feedback.Opinion")


def append_only_tables() -> list[str]:
    """The tables of APPEND_ONLY and every event table of django-pghistory."""
    from pghistory.models import Event

    tables = [apps.get_model(name)._meta.db_table for name in APPEND_ONLY]
    tables += [
        model._meta.db_table
        for model in apps.get_models()
        if issubclass(model, Event) and model._meta.managed
    ]
    return sorted(tables)


def rights_grant(*, owner_alias: str = "owner", app_role: str) -> None:
    """Give the application role its rights on every table, and take history out of its reach."""
    role = sql.Identifier(app_role)
    connection = connections[owner_alias]
    with connection.cursor() as cursor:
        for statement in (
            "GRANT USAGE ON SCHEMA public TO {role}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
            "REVOKE TRUNCATE ON ALL TABLES IN SCHEMA public FROM {role}",
            "REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {role}",
        ):
            cursor.execute(sql.SQL(statement).format(role=role))
        for table in append_only_tables():
            cursor.execute(
                sql.SQL("REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {role}").format(
                    table=sql.Identifier(table), role=role
                )
            )


class Command(BaseCommand):
    help = "Migrate as the owner role and give the application role its rights."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--quiet", action="store_true", help="say nothing when all is well")

    def handle(self, *args: Any, **options: Any) -> None:
        if "owner" not in connections.settings:
            raise CommandError(
                "DATABASE_OWNER_URL is not set: migrations run as the owner role, never as the role "
                "that serves requests. Set it for this command."
            )
        verbosity = 0 if options["quiet"] else 1
        call_command("migrate", database="owner", interactive=False, verbosity=verbosity)
        rights_grant(app_role=connections["default"].settings_dict["USER"])
        if verbosity:
            self.stdout.write("The database is ready.")
