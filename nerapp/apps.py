from __future__ import annotations

from django.apps import AppConfig


class NerappConfig(AppConfig):
    name = "nerapp"
    verbose_name = "nerapp"
