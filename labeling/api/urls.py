"""The addresses of imports and exports for machines, below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from labeling.api import transfer

urlpatterns: list[URLPattern | URLResolver] = [
    path("imports", transfer.ImportsView.as_view(), name="api_imports"),
    path("imports/<uuid:job_id>", transfer.ImportView.as_view(), name="api_import"),
    path("imports/<uuid:job_id>/cancel", transfer.ImportCancelView.as_view(), name="api_import_cancel"),
    path("exports", transfer.ExportsView.as_view(), name="api_exports"),
    path("exports/<uuid:job_id>", transfer.ExportView.as_view(), name="api_export"),
    path("exports/<uuid:job_id>/cancel", transfer.ExportCancelView.as_view(), name="api_export_cancel"),
    path("exports/<uuid:job_id>/file", transfer.ExportFileView.as_view(), name="api_export_file"),
]
