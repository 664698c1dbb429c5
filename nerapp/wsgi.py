"""The WSGI application that the web processes serve."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nerapp.settings")

application = get_wsgi_application()

from inference.upkeep import upkeep  # noqa: E402  (needs the apps that the line above loads)

upkeep.start()
