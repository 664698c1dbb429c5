"""Storing what humans say about predictions."""

from feedback.services.corrections import (
    correction_submit,
    decision_key,
    prediction_correct,
    rating_submit,
)

__all__ = ["correction_submit", "decision_key", "prediction_correct", "rating_submit"]
