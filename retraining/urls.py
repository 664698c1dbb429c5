"""The addresses of learning and of bringing models to callers, below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from retraining.api import experiments
from retraining.api.explanations import LineageView, WhyView
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
    path("retraining/lineage/<str:reference>", LineageView.as_view(), name="api_lineage"),
    path("retraining/why", WhyView.as_view(), name="api_why"),
    path("rollouts", RolloutsView.as_view(), name="rollouts"),
    path("rollouts/<int:rollout_id>", RolloutView.as_view(), name="rollout"),
    path("rollouts/<int:rollout_id>/approve", RolloutApproveView.as_view(), name="rollout_approve"),
    path("rollouts/<int:rollout_id>/pause", RolloutPauseView.as_view(), name="rollout_pause"),
    path("rollouts/<int:rollout_id>/resume", RolloutResumeView.as_view(), name="rollout_resume"),
    path("rollouts/<int:rollout_id>/roll-back", RolloutRollBackView.as_view(), name="rollout_roll_back"),
    path("experiments", experiments.ExperimentsView.as_view(), name="api_experiments"),
    path("experiments/estimate", experiments.EstimateView.as_view(), name="api_experiment_estimate"),
    path("experiments/<int:experiment_id>", experiments.ExperimentView.as_view(), name="api_experiment"),
    path(
        "experiments/<int:experiment_id>/start",
        experiments.ExperimentStartView.as_view(),
        name="api_experiment_start",
    ),
    path(
        "experiments/<int:experiment_id>/stop",
        experiments.ExperimentStopView.as_view(),
        name="api_experiment_stop",
    ),
    path(
        "experiments/<int:experiment_id>/conclude",
        experiments.ExperimentConcludeView.as_view(),
        name="api_experiment_conclude",
    ),
]
