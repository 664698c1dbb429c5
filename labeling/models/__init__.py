"""What waits for people, and what they bring in and take out."""

from labeling.models.assignments import Assignment, AssignmentRule
from labeling.models.comments import Comment
from labeling.models.propagation import PropagatedSpan, Propagation
from labeling.models.sampling import Cover, Fingerprint, Intake
from labeling.models.standing import Standing, Tally
from labeling.models.tasks import Task
from labeling.models.transfer import ExportJob, ImportJob, JobStatus, TransferJob

__all__ = [
    "Assignment",
    "AssignmentRule",
    "Comment",
    "Cover",
    "ExportJob",
    "Fingerprint",
    "ImportJob",
    "Intake",
    "JobStatus",
    "PropagatedSpan",
    "Propagation",
    "Standing",
    "Tally",
    "Task",
    "TransferJob",
]
