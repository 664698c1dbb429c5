"""What the `rollout_*` commands share: which rollout is meant, and how one is told in a terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.services import SYSTEM
from corpus.console import project_named, refusals_told
from retraining.models import Rollout
from retraining.selectors import rollout_current, rollouts_of


class RolloutCommand(BaseCommand):
    """A command about the rollouts of one project."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")

    def tell(self, rollout: Rollout) -> None:
        """Where it is, what it waits for, and each criterion."""
        self.stdout.write(
            f"rollout {rollout.pk}: {rollout.version} over {rollout.champion}, "
            f"{rollout.get_status_display().lower()}, {rollout.share:g} % of the callers"
        )
        for finding in rollout.findings:
            self.stdout.write(f"  {finding['state']:8} {finding['code']:15} {finding['words']}")
        if rollout.is_unfinished and rollout.waits_for:
            left = f" (about {rollout.seconds_left:.0f} s more)" if rollout.seconds_left else ""
            self.stdout.write(f"  waits for: {rollout.waits_for}{left}")
        if rollout.outcome:
            self.stdout.write(f"  {rollout.outcome}")


class ActCommand(RolloutCommand):
    """A command that does something to the project's rollout under way."""

    act: Callable[..., Rollout]

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        rollout = rollout_current(project=project)
        if rollout is None:
            raise CommandError(f"No version of {project.slug} is being rolled out.")
        with refusals_told():
            self.tell(type(self).act(rollout=rollout, actor=SYSTEM, reason=options["reason"]))


class StatusCommand(RolloutCommand):
    """A command that only looks."""

    def handle(self, *args: Any, **options: Any) -> None:
        rollout = rollouts_of(project=project_named(options["project"])).first()
        if rollout is None:
            self.stdout.write("No version was ever rolled out here.")
            return
        self.tell(rollout)
        for event in rollout.events.all():
            self.stdout.write(
                f"  {event.at:%Y-%m-%d %H:%M:%S} {event.share_before:g} -> {event.share:g} % "
                f"{event.kind} by {event.by}: {event.reason}"
            )
