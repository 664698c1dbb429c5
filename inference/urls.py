"""The addresses of the prediction API, below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from inference.api.jobs import JobCancelView, JobResultView, JobsView, JobView
from inference.api.models import ComparisonView, ModelsView, ModelView
from inference.api.predict import BatchView, PredictView, RouteView
from inference.api.tokens import TokenView

urlpatterns: list[URLPattern | URLResolver] = [
    path("predict", PredictView.as_view(), name="predict"),
    path("predict/route", RouteView.as_view(), name="predict_route"),
    path("predict/batch", BatchView.as_view(), name="predict_batch"),
    path("jobs", JobsView.as_view(), name="api_jobs"),
    path("jobs/<uuid:job_id>", JobView.as_view(), name="api_job"),
    path("jobs/<uuid:job_id>/cancel", JobCancelView.as_view(), name="api_job_cancel"),
    path("jobs/<uuid:job_id>/result", JobResultView.as_view(), name="api_job_result"),
    path("token", TokenView.as_view(), name="token"),
    path("models", ModelsView.as_view(), name="models"),
    path("models/comparison", ComparisonView.as_view(), name="models_comparison"),
    path("models/<str:reference>", ModelView.as_view(), name="model"),
]
