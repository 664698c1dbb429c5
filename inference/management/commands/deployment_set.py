"""`manage.py deployment_set`: point a slot at a version, give it a share of the callers, or tell what is."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.services import SYSTEM
from corpus.console import project_named
from corpus.errors import DomainError
from corpus.models import Project
from inference.models import Deployment
from inference.selectors import shares_in, version_named
from inference.services import deployment_clear, deployment_set, deployment_share
from inference.shares import SHARED, shadow_share

_SLOTS = [slot for slot in Deployment.Slot.values if slot != Deployment.Slot.CHAMPION]


class Command(BaseCommand):
    help = (
        "Point a slot of a project at a version, give it a share of the callers, empty it, or, without "
        "--slot, tell what serves. The champion is made by promotion (back office), not here."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")
        parser.add_argument("--slot", choices=_SLOTS)
        parser.add_argument("--model", help="name@number, to point the slot at")
        parser.add_argument(
            "--share",
            type=float,
            help=f"percent of the callers, for {', '.join(SHARED)}; for a shadow, of the champion's answers",
        )
        parser.add_argument("--clear", action="store_true", help="empty the slot")
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_named(options["project"])
        slot, name, share, clear = (options[key] for key in ("slot", "model", "share", "clear"))
        is_changed = name is not None or share is not None
        if slot is None and (is_changed or clear):
            raise CommandError("Say which --slot.")
        if slot is not None and is_changed == clear:
            raise CommandError("Say what becomes of the slot: --model, --share or both, or else --clear.")
        told: dict[str, Any] = {"project": project, "actor": SYSTEM, "reason": options["reason"]}
        try:
            if clear:
                deployment_clear(slot=slot, **told)
            if name is not None:
                deployment_set(slot=slot, version=version_named(project, name), **told)
            if share is not None:
                deployment_share(slot=slot, share=share, **told)
        except DomainError as error:
            raise CommandError(error.detail) from error
        self._tell(project)

    def _tell(self, project: Project) -> None:
        shares = shares_in(project)
        for deployment in Deployment.objects.filter(project=project).select_related("version"):
            is_shadow = deployment.slot == Deployment.Slot.SHADOW
            part = shadow_share(deployment.share) if is_shadow else shares.get(deployment.slot, 0.0)
            share = f"{part:g} %"
            self.stdout.write(f"{deployment.slot:12} {deployment.version!s:24} {share:>6}")
