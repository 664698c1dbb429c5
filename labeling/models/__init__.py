"""What waits for people, and what they bring in and take out."""

from labeling.models.sampling import Cover, Fingerprint, Intake
from labeling.models.standing import Standing, Tally
from labeling.models.tasks import Task

__all__ = ["Cover", "Fingerprint", "Intake", "Standing", "Tally", "Task"]
