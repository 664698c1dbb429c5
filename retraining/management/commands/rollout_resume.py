"""`manage.py rollout_resume`: let a paused rollout go on."""

from __future__ import annotations

from retraining.management.rollouts import ActCommand
from retraining.services import rollout_resume


class Command(ActCommand):
    help = "Let the paused rollout of a project go on."
    act = staticmethod(rollout_resume)
