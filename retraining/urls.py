"""The addresses of learning, below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from retraining.api.learning import DecisionsView, DriftReportView, DriftView
from retraining.api.rollouts import (
    RolloutApproveView,
    RolloutPauseView,
    RolloutResumeView,
    RolloutRollBackView,
    RolloutsView,
    RolloutView,
)

urlpatterns: list[URLPattern | URLResolver] = [
    path("drift", DriftView.as_view(), name="api_drift"),
    path("drift/<int:report_id>", DriftReportView.as_view(), name="api_drift_report"),
    path("retraining/decisions", DecisionsView.as_view(), name="api_retraining_decisions"),
    path("rollouts", RolloutsView.as_view(), name="rollouts"),
    path("rollouts/<int:rollout_id>", RolloutView.as_view(), name="rollout"),
    path("rollouts/<int:rollout_id>/approve", RolloutApproveView.as_view(), name="rollout_approve"),
    path("rollouts/<int:rollout_id>/pause", RolloutPauseView.as_view(), name="rollout_pause"),
    path("rollouts/<int:rollout_id>/resume", RolloutResumeView.as_view(), name="rollout_resume"),
    path("rollouts/<int:rollout_id>/roll-back", RolloutRollBackView.as_view(), name="rollout_roll_back"),
]
