"""Reading what waits, for whom, and how far the work is."""

from labeling.selectors.queue import (
    EXCERPT,
    Progress,
    QueueRow,
    corrections_latest,
    done_rows,
    progress_of,
    queue_rows,
    strata_waiting,
    stratum_reason,
    task_get,
)

__all__ = [
    "EXCERPT",
    "Progress",
    "QueueRow",
    "corrections_latest",
    "done_rows",
    "progress_of",
    "queue_rows",
    "strata_waiting",
    "stratum_reason",
    "task_get",
]
