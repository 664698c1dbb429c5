"""What the workers do for retraining. Each task takes ids and calls one service."""

from __future__ import annotations

from celery import shared_task


@shared_task
def run_execute(run_id: int) -> None:
    """Train, evaluate and judge one queued run."""
    from retraining.services import run_execute as execute

    execute(run_id=run_id)


@shared_task
def policies_check() -> None:
    """Is a retraining due anywhere?"""
    from retraining.services import policies_check as check

    check()


@shared_task
def experiments_check() -> None:
    """What do the running experiments show?"""
    from retraining.services import experiments_check as check

    check()


@shared_task
def rollouts_check() -> None:
    """Does a version on its way to callers go on, wait, or come back?"""
    from retraining.services import rollouts_check as check

    check()


@shared_task
def runs_sweep() -> None:
    """Requeue dead runs; publish queued ones that the broker lost."""
    from retraining.services import runs_sweep as sweep

    sweep()


@shared_task
def slots_examine() -> None:
    """What a cascade of the versions that serve needs to have been measured."""
    from retraining.services import slots_examine as examine

    examine()


@shared_task
def leftovers_sweep() -> None:
    """Remove what killed trainings left on the disk."""
    from retraining.services import leftovers_sweep as sweep

    sweep()


@shared_task
def tracking_sync() -> None:
    """Point MLflow's aliases at the versions that serve."""
    from retraining.services import tracking_sync as sync

    sync()


@shared_task
def drifts_measure() -> None:
    """Have the texts moved anywhere?"""
    from retraining.services import drifts_measure as measure

    measure()


@shared_task
def drift_forget() -> None:
    """Remove old reports of drift."""
    from retraining.services import drift_forget as forget

    forget()
