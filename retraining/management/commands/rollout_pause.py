"""`manage.py rollout_pause`: keep a rollout at its step."""

from __future__ import annotations

from retraining.management.rollouts import ActCommand
from retraining.services import rollout_pause


class Command(ActCommand):
    help = "Keep the rollout of a project at its step until it is resumed; a broken limit takes it back."
    act = staticmethod(rollout_pause)
