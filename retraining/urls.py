"""The addresses of learning, below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from retraining.api.learning import DecisionsView, DriftReportView, DriftView

urlpatterns: list[URLPattern | URLResolver] = [
    path("drift", DriftView.as_view(), name="api_drift"),
    path("drift/<int:report_id>", DriftReportView.as_view(), name="api_drift_report"),
    path("retraining/decisions", DecisionsView.as_view(), name="api_retraining_decisions"),
]
