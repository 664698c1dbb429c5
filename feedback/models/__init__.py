"""What humans said about predictions."""

from feedback.models.corrections import Correction, Rating, SpanDecision, Stratum
from feedback.models.opinions import GoldItem, Opinion
from feedback.models.quality import QualityEstimate
from feedback.models.summaries import DailyDecisions, DailyReviews, SummaryMark

__all__ = [
    "Correction",
    "DailyDecisions",
    "DailyReviews",
    "GoldItem",
    "Opinion",
    "QualityEstimate",
    "Rating",
    "SpanDecision",
    "Stratum",
    "SummaryMark",
]
