"""Reading what humans said about predictions."""

from feedback.selectors.agreement import agreement_of
from feedback.selectors.corrections import (
    correction_current,
    correction_known,
    corrections_newest,
    corrections_since,
    decisions_count,
)
from feedback.selectors.opinions import opinion_current, opinion_known, opinions_newest
from feedback.selectors.quality import quality_by_label, quality_newest, quality_trend
from feedback.selectors.summaries import Scope, decisions_counted, reviews_counted, summary_tail, today

__all__ = [
    "Scope",
    "agreement_of",
    "correction_current",
    "correction_known",
    "corrections_newest",
    "corrections_since",
    "decisions_count",
    "decisions_counted",
    "opinion_current",
    "opinion_known",
    "opinions_newest",
    "quality_by_label",
    "quality_newest",
    "quality_trend",
    "reviews_counted",
    "summary_tail",
    "today",
]
