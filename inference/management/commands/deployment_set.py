"""`manage.py deployment_set`: point a slot at a version, give it a share of the callers, or tell what is."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audit.services import SYSTEM
from corpus.errors import DomainError
from corpus.models import Project
from inference.models import Deployment
from inference.selectors import shares_in, version_named
from inference.services import deployment_set, deployment_share
from inference.shares import SHARED

_SLOTS = [slot for slot in Deployment.Slot.values if slot != Deployment.Slot.CHAMPION]


class Command(BaseCommand):
    help = (
        "Point a slot of a project at a version, give it a share of the callers, or, without --slot, tell "
        "what serves. The champion is made by promotion (back office), not here."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--project", required=True, help="slug of the project")
        parser.add_argument("--slot", choices=_SLOTS)
        parser.add_argument("--model", help="name@number, to point the slot at")
        parser.add_argument(
            "--share", type=float, help=f"percent of the callers, for {', '.join(SHARED)} (0 to 100)"
        )
        parser.add_argument("--reason", default="", help="kept in the audit log")

    def handle(self, *args: Any, **options: Any) -> None:
        project = Project.objects.filter(slug=options["project"]).first()
        if project is None:
            raise CommandError(f"There is no project {options['project']}.")
        slot, name, share = options["slot"], options["model"], options["share"]
        if slot is None and (name is not None or share is not None):
            raise CommandError("Say which --slot.")
        if slot is not None and name is None and share is None:
            raise CommandError("Say what becomes of the slot: --model, --share or both.")
        told: dict[str, Any] = {"project": project, "actor": SYSTEM, "reason": options["reason"]}
        try:
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
            share = f"{shares.get(deployment.slot, 0.0):g} %"
            self.stdout.write(f"{deployment.slot:12} {deployment.version!s:24} {share:>6}")
