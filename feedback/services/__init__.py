"""Storing what humans say about predictions, and counting it."""

from feedback.services.corrections import (
    correction_submit,
    decision_key,
    prediction_correct,
    rating_submit,
)
from feedback.services.imported import ImportedSpans, corrections_import
from feedback.services.opinions import gold_mark, gold_unmark, opinion_submit
from feedback.services.quality import quality_estimate, quality_update
from feedback.services.summaries import summaries_update, summary_rebuild, summary_update

__all__ = [
    "ImportedSpans",
    "correction_submit",
    "corrections_import",
    "decision_key",
    "gold_mark",
    "gold_unmark",
    "opinion_submit",
    "prediction_correct",
    "quality_estimate",
    "quality_update",
    "rating_submit",
    "summaries_update",
    "summary_rebuild",
    "summary_update",
]
