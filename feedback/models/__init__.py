"""What humans said about predictions."""

from feedback.models.corrections import Correction, Rating, SpanDecision, Stratum

__all__ = ["Correction", "Rating", "SpanDecision", "Stratum"]
