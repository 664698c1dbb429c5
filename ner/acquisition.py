"""Which text to ask a person about first: the one the model is least sure of, fairly by length.

The score is maximum normalised log-probability (Shen et al. 2018): how probable the model finds its
own best answer, as a mean over the tokens, so that long texts are not preferred for being long.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp


def uncertainty(log_probabilities: Sequence[float], lengths: Sequence[int]) -> float:
    """0 (sure) to 1 (no idea) for a text, from its sentences' best paths; 0 for an empty text."""
    tokens = sum(lengths)
    if not tokens:
        return 0.0
    return 1.0 - exp(min(sum(log_probabilities) / tokens, 0.0))
