"""System checks of what the environment alone cannot tell: folders that must be there and usable."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from ner.bundle import MANIFEST


@register()
def models_are_there(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """The bundled base models can be read."""
    root = Path(settings.MODELS_DIR)
    if not root.is_dir() or not os.access(root, os.R_OK | os.X_OK):
        return [
            Error(
                f"The folder of the base models cannot be read: {root}",
                hint="Set NERAPP_MODELS_DIR to the folder models/ of nerapp.",
                id="nerapp.E001",
            )
        ]
    if not any(root.glob(f"*/{MANIFEST}")):
        return [
            Warning(
                f"There is no base model in {root}",
                hint="Projects then start with the blank model, which predicts nothing.",
                id="nerapp.W001",
            )
        ]
    return []


@register()
def data_can_be_written(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Trained bundles can be stored. Tried, not asked for: to root every folder seems writable."""
    folder = Path(settings.DATA_DIR)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return []
    except OSError:
        pass
    return [
        Error(
            f"Nothing can be written to the data folder: {folder}",
            hint="Set NERAPP_DATA_DIR to a folder that the user who runs nerapp may write to.",
            id="nerapp.E002",
        )
    ]
