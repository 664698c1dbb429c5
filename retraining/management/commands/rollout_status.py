"""`manage.py rollout_status`: where a project's newest rollout is, and why."""

from __future__ import annotations

from retraining.management.rollouts import StatusCommand


class Command(StatusCommand):
    help = "Tell where the newest rollout of a project is, each criterion, and what happened to it."
