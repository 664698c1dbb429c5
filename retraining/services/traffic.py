"""One change of a project's callers at a time: what moves them asks here first."""

from __future__ import annotations

from corpus.models import Project
from retraining.errors import TrafficBusy
from retraining.models import Experiment, Rollout


def traffic_claim(*, project: Project) -> None:
    """Raise TrafficBusy while something moves the callers; inside a transaction nobody else can begin to.

    Whoever moves them locks the project first, so that two that begin at once come one after the other.
    """
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    running = Experiment.objects.filter(project=project, status=Experiment.Status.RUNNING).first()
    if running is not None:
        raise TrafficBusy(what=f"experiment {running.pk} divides them")
    rollout = (
        Rollout.objects.filter(project=project, status__in=Rollout.UNFINISHED)
        .select_related("version")
        .first()
    )
    if rollout is not None:
        raise TrafficBusy(what=f"{rollout.version} is being rolled out")
