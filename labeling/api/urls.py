"""The addresses of imports and exports for machines, below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from labeling.api import label_studio, transfer

urlpatterns: list[URLPattern | URLResolver] = [
    path("imports", transfer.ImportsView.as_view(), name="api_imports"),
    path("imports/<uuid:job_id>", transfer.ImportView.as_view(), name="api_import"),
    path("imports/<uuid:job_id>/cancel", transfer.ImportCancelView.as_view(), name="api_import_cancel"),
    path("exports", transfer.ExportsView.as_view(), name="api_exports"),
    path("exports/<uuid:job_id>", transfer.ExportView.as_view(), name="api_export"),
    path("exports/<uuid:job_id>/cancel", transfer.ExportCancelView.as_view(), name="api_export_cancel"),
    path("exports/<uuid:job_id>/file", transfer.ExportFileView.as_view(), name="api_export_file"),
    path("label-studio/health", label_studio.HealthView.as_view(), name="label_studio_health"),
    path("label-studio/setup", label_studio.SetupView.as_view(), name="label_studio_setup"),
    path("label-studio/predict", label_studio.PredictView.as_view(), name="label_studio_predict"),
    path("label-studio/webhook", label_studio.WebhookView.as_view(), name="label_studio_webhook"),
]
