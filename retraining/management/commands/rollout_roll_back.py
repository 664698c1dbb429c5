"""`manage.py rollout_roll_back`: take a version back."""

from __future__ import annotations

from retraining.management.rollouts import ActCommand
from retraining.services import rollout_roll_back


class Command(ActCommand):
    help = "Take the version back: the champion of before answers everybody again within 5 seconds."
    act = staticmethod(rollout_roll_back)
