"""Keeping the counters small and true."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from django.db import connection, transaction

from corpus.models import Project
from labeling.models import Tally
from labeling.selectors.tallies import tallies, tallies_counted

log = structlog.get_logger(__name__)

#: A reader adds up so many rows gladly.
LOOSE_ROWS = 50

# One statement, so that every reader sees either the changes or their sum. Of two at once the second finds
# the rows of the first gone.
_COMPACT = """
WITH folded AS (
    DELETE FROM labeling_tally WHERE project_id = %s RETURNING project_id, kind, state, stratum, change)
INSERT INTO labeling_tally (project_id, kind, state, stratum, change)
SELECT project_id, kind, state, stratum, sum(change) FROM folded
GROUP BY project_id, kind, state, stratum HAVING sum(change) <> 0
"""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A counter that does not say what the rows say."""

    project: Project
    kind: str
    key: tuple[str, str]
    says: int
    counted: int


def tallies_compact() -> int:
    """Add up what writers left behind; returns for how many projects."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT project_id FROM labeling_tally GROUP BY 1 HAVING count(*) > %s ORDER BY 1", [LOOSE_ROWS]
        )
        projects = [project for (project,) in cursor.fetchall()]
        for project in projects:
            cursor.execute(_COMPACT, [project])
    return len(projects)


def tallies_check(*, project: Project) -> list[Mistake]:
    """Compare a project's counters with its rows. Reads them all, at one moment."""
    mistakes = []
    with transaction.atomic():
        _hold_still()
        for kind in Tally.Kind:
            said = tallies(project=project, kind=kind)
            counted = tallies_counted(project=project, kind=kind)
            mistakes += [
                Mistake(project, kind, key, said.get(key, 0), counted.get(key, 0))
                for key in sorted(said.keys() | counted.keys())
                if said.get(key, 0) != counted.get(key, 0)
            ]
    return mistakes


@transaction.atomic
def tallies_repair(*, project: Project) -> list[Mistake]:
    """Make a project's standings and counters anew from its rows; returns what the counters had wrong."""
    with connection.cursor() as cursor:
        _hold_still()
        cursor.execute(
            "SELECT labeling_standing_refresh(ARRAY(SELECT id FROM corpus_document WHERE project_id = %s))",
            [project.pk],
        )
        mistakes = tallies_check(project=project)
        Tally.objects.filter(project=project).delete()
        Tally.objects.bulk_create(
            Tally(project=project, kind=kind, state=state, stratum=stratum, change=count)
            for kind in Tally.Kind
            for (state, stratum), count in tallies_counted(project=project, kind=kind).items()
        )
    if mistakes:
        log.warning("counters repaired", project=project.slug, wrong=len(mistakes))
    return mistakes


def _hold_still() -> None:
    """Keep writers out until the transaction ends: what is compared must be of one moment."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE corpus_document, labeling_task, labeling_standing IN SHARE MODE")
