"""The use cases of reviewing: filling the queue, holding a task, closing it."""

from labeling.services.claims import task_claim, task_release, task_renew, task_skip, task_submit
from labeling.services.imports import texts_import
from labeling.services.queue import queue_fill, queues_fill

__all__ = [
    "queue_fill",
    "queues_fill",
    "task_claim",
    "task_release",
    "task_renew",
    "task_skip",
    "task_submit",
    "texts_import",
]
