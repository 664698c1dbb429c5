"""Migrations: complete, and safe to run beside the code that still serves."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.core.management import call_command
from django_migration_linter import MigrationLinter

pytestmark = pytest.mark.django_db


def _ours() -> list[str]:
    return [config.label for config in apps.get_app_configs() if "site-packages" not in config.path]


def test_every_change_of_a_model_has_its_migration() -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_no_migration_breaks_the_code_that_still_runs() -> None:
    linter = MigrationLinter(
        ".",
        include_apps=_ours(),
        ignore_initial_migrations=True,  # there is no running code before the first one
        no_cache=True,
        no_output=True,
    )
    linter.lint_all_migrations()
    assert not linter.has_errors, (
        "run: manage.py sqlmigrate on the newest migration and see the linter's rules"
    )
