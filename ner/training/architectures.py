"""The four families: what they are made of and how they are trained by default.

``baseline``, ``model2`` and ``advanced`` follow the design documents. One correction: the
documents' baseline pools the whole sentence into one vector and repeats it, which gives every word
the same answer; ours keeps their stated intent, a feed-forward network that sees one word without
context. ``model2`` is trained with recurrent dropout, which exists in training only: the exported
graph is a single LSTM operator.

``flagship`` reads words, case, hashed characters (prefix, suffix, shape) and frozen GloVe vectors,
looks around itself with dilated windows, and decides with a CRF.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ner.config import Architecture, FeatureSettings, Layer, TrainConfig
from ner.errors import BadConfig


@dataclass(frozen=True, slots=True)
class Family:
    """An architecture with its features and the settings it trains well with."""

    architecture: Architecture
    features: FeatureSettings
    training: TrainConfig


def _windows(units: int, dilations: tuple[int, ...], rate: float) -> tuple[Layer, ...]:
    return tuple(Layer(kind="window", units=units, dilation=dilation, rate=rate) for dilation in dilations)


_FAMILIES = {
    "baseline": Family(
        Architecture(
            word_dim=100,
            layers=(
                Layer(kind="dense", units=128),
                Layer(kind="dropout", rate=0.3),
                Layer(kind="dense", units=64),
                Layer(kind="dropout", rate=0.3),
            ),
            output="softmax",
        ),
        FeatureSettings(),
        TrainConfig(family="baseline", epochs=5),
    ),
    "model2": Family(
        Architecture(word_dim=50, layers=(Layer(kind="lstm", units=100, rate=0.1),), output="softmax"),
        FeatureSettings(),
        TrainConfig(family="model2", epochs=7),
    ),
    "advanced": Family(
        Architecture(
            word_dim=200,
            layers=(
                Layer(kind="dropout", rate=0.3),
                Layer(kind="lstm", units=128),
                Layer(kind="lstm", units=64),
                Layer(kind="dense", units=128),
                Layer(kind="dropout", rate=0.3),
            ),
            output="softmax",
        ),
        FeatureSettings(),
        TrainConfig(family="advanced", epochs=6),
    ),
    "flagship": Family(
        Architecture(
            word_dim=64,
            case_dim=8,
            hash_dim=24,
            layers=(
                Layer(kind="dropout", rate=0.25),
                Layer(kind="dense", units=160),
                *_windows(160, (1, 2, 4, 8), 0.3),
                Layer(kind="dropout", rate=0.3),
            ),
            output="crf",
        ),
        FeatureSettings(lowercase=True, hashed=("prefix3", "suffix2", "suffix3", "shape"), vectors=100),
        TrainConfig(family="flagship", epochs=6, word_dropout=0.25, rare_dropout=0.5),
    ),
}


def family(name: str) -> Family:
    """A family by name."""
    if name not in _FAMILIES:
        raise BadConfig(name="family", problem=f"{name!r} is not one of {', '.join(_FAMILIES)}")
    return _FAMILIES[name]


def default_config(name: str) -> TrainConfig:
    """The settings a family trains well with."""
    return replace(family(name).training)
