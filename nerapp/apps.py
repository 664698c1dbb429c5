"""The app configurations: nerapp itself, and Django's admin with our site."""

from __future__ import annotations

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class NerappConfig(AppConfig):
    name = "nerapp"
    verbose_name = "nerapp"

    def ready(self) -> None:
        from nerapp import checks  # noqa: F401  (importing registers them)


class NerappAdminConfig(AdminConfig):
    # The site is imported later, by its name: it needs models, which are not loaded yet.
    default_site = "nerapp.admin_site.NerappAdminSite"
