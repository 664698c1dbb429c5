"""Keeping MLflow's aliases where the champions are."""

from __future__ import annotations

import structlog

from inference.models import Deployment, ModelVersion
from retraining.tracking import alias_point

log = structlog.get_logger(__name__)


def tracking_sync() -> None:
    """Point the alias `champion` of every project at the version that serves.

    A base model came with nerapp and is not MLflow's.
    """
    champions = Deployment.objects.filter(
        slot=Deployment.Slot.CHAMPION, version__origin=ModelVersion.Origin.TRAINED
    ).select_related("project", "version")
    for champion in champions:
        try:
            alias_point(model=champion.version.name, alias="champion", version=str(champion.version))
        except Exception as error:  # noqa: BLE001  (whatever MLflow raises; the next sync tries again)
            log.warning("mlflow_failed", error=str(error)[:500])
            return
