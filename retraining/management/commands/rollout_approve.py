"""`manage.py rollout_approve`: let a rollout that waits for approval go its next step."""

from __future__ import annotations

from retraining.management.rollouts import ActCommand
from retraining.services import rollout_approve


class Command(ActCommand):
    help = "Let the rollout of a project that waits for approval go its next step, now."
    act = staticmethod(rollout_approve)
