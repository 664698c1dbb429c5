"""The addresses of feedback, below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from feedback.api import FeedbackView, QualityView

urlpatterns: list[URLPattern | URLResolver] = [
    path("feedback", FeedbackView.as_view(), name="feedback"),
    path("quality", QualityView.as_view(), name="quality"),
]
