"""The back office: Django's admin under our name, theme and home page."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig


class NerappAdminSite(admin.AdminSite):
    """The admin site; its home page answers how serving, the champion, the queue and learning are."""

    site_header = "nerapp"
    site_title = "nerapp"
    index_title = "Back office"


class NerappAdminConfig(AdminConfig):
    default_site = "nerapp.admin_site.NerappAdminSite"
