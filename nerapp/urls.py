"""Every address of nerapp."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.i18n import set_language

from nerapp import views
from nerapp.health import HealthView, LiveView, MetricsView, ReadyView
from nerapp.openapi import SchemaView, docs

urlpatterns = [
    path("", views.home, name="home"),
    path("projects/", views.projects, name="projects"),
    path("help/", views.help_page, name="help"),
    path("sign-in/<str:token>/", views.sign_in_once, name="sign_in_once"),
    path("api/v1/", include("inference.urls")),
    path("api/v1/", include("feedback.urls")),
    path("api/v1/", include("labeling.api.urls")),
    path("api/v1/", include("retraining.urls")),
    path("api/v1/live", LiveView.as_view(), name="live"),
    path("api/v1/ready", ReadyView.as_view(), name="ready"),
    path("api/v1/health", HealthView.as_view(), name="health"),
    path("api/v1/metrics", MetricsView.as_view(), name="metrics"),
    path("api/v1/schema", SchemaView.as_view(), name="schema"),
    path("api/v1/docs", docs, name="docs"),
    path("language/", set_language, name="language"),
    path("projects/", include("labeling.urls")),
    path("admin/", admin.site.urls),
    # Accounts are made by an admin, and no mail is sent yet: these pages would promise one.
    re_path(r"^accounts/(?:email|confirm-email|password/reset)\b", views.no_such_page),
    path("accounts/", include("allauth.urls")),
]

handler400 = "nerapp.api.bad_request"
handler403 = "nerapp.api.permission_denied"
handler404 = "nerapp.api.page_not_found"
handler500 = "nerapp.api.server_error"
