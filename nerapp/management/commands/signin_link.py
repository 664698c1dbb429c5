"""`manage.py signin_link`: print the path of a one-time sign-in link, alone on stdout."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandParser
from django.urls import reverse

from nerapp.sign_in import FIRST_ADMIN, link_create


class Command(BaseCommand):
    help = "Print the path of a one-time link that signs an admin in (valid for 24 hours)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--first", action="store_true", help="only while no admin has ever signed in")
        parser.add_argument("--user", default=FIRST_ADMIN, help="made if absent (default: admin)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["first"] and User.objects.filter(is_superuser=True, last_login__isnull=False).exists():
            return
        self.stdout.write(reverse("sign_in_once", args=[link_create(username=options["user"])]))
