"""What waits for people, and what they bring in and take out."""

from labeling.models.tasks import Task

__all__ = ["Task"]
