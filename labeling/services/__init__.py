"""The use cases of reviewing: filling the queue, holding a task, closing it; and of files in and out."""

from labeling.services.claims import task_claim, task_release, task_renew, task_skip, task_submit
from labeling.services.comments import comment_add, comment_resolve
from labeling.services.exports import export_cancel, export_losses, export_open, export_run, export_start
from labeling.services.imports import file_import, import_cancel, import_run, import_start, import_upload
from labeling.services.jobs import jobs_sweep
from labeling.services.queue import queue_fill, queues_fill
from labeling.services.uploads import files_sweep

__all__ = [
    "comment_add",
    "comment_resolve",
    "export_cancel",
    "export_losses",
    "export_open",
    "export_run",
    "export_start",
    "file_import",
    "files_sweep",
    "import_cancel",
    "import_run",
    "import_start",
    "import_upload",
    "jobs_sweep",
    "queue_fill",
    "queues_fill",
    "task_claim",
    "task_release",
    "task_renew",
    "task_skip",
    "task_submit",
]
