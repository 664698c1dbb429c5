"""Reading what humans said about predictions."""

from feedback.selectors.corrections import (
    correction_current,
    corrections_newest,
    corrections_since,
    decisions_count,
)

__all__ = ["correction_current", "corrections_newest", "corrections_since", "decisions_count"]
