"""Reading what waits, for whom, and how far the work is."""

from labeling.selectors.comments import comment_get, comments_of
from labeling.selectors.queue import (
    EXCERPT,
    Progress,
    QueueRow,
    done_rows,
    progress_of,
    queue_rows,
    strata_waiting,
    stratum_reason,
    task_get,
    task_reason,
)
from labeling.selectors.tallies import tallies, texts_count

__all__ = [
    "EXCERPT",
    "Progress",
    "QueueRow",
    "comment_get",
    "comments_of",
    "done_rows",
    "progress_of",
    "queue_rows",
    "strata_waiting",
    "stratum_reason",
    "tallies",
    "task_get",
    "task_reason",
    "texts_count",
]
