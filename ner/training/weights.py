"""The weights of a tagger by name: how many there are, and how they start. NumPy only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ner.config import Architecture, FeatureSettings, Layer
from ner.features import CASES, FIRST_WORD

Weights = dict[str, NDArray[np.float32]]
EMBEDDINGS = ("word", "case", "hash")


def initial_weights(
    architecture: Architecture, features: FeatureSettings, *, words: int, tags: int, seed: int
) -> Weights:
    """Fresh weights for every layer."""
    rng = np.random.default_rng(seed)
    weights: Weights = {"word": _uniform(rng, (FIRST_WORD + words, architecture.word_dim), 0.08)}
    if architecture.case_dim:
        weights["case"] = _uniform(rng, (CASES, architecture.case_dim), 0.3)
    if features.hashed:
        rows = len(features.hashed) * features.buckets
        weights["hash"] = _uniform(rng, (rows, architecture.hash_dim), 0.1)
    width = input_width(architecture, features)
    for place, layer in enumerate(architecture.layers):
        weights |= {f"{place}.{name}": value for name, value in _layer_weights(rng, layer, width).items()}
        width = layer_width(layer, width)
    weights["out.kernel"] = _glorot(rng, (width, tags))
    weights["out.bias"] = np.zeros(tags, np.float32)
    if architecture.output == "crf":
        weights["crf.start"] = np.zeros(tags, np.float32)
        weights["crf.matrix"] = np.zeros((tags, tags), np.float32)
        weights["crf.end"] = np.zeros(tags, np.float32)
    return weights


def input_width(architecture: Architecture, features: FeatureSettings) -> int:
    """Numbers per word that enter the first layer."""
    hashed = len(features.hashed) * architecture.hash_dim
    return architecture.word_dim + architecture.case_dim + hashed + features.vectors


def layer_width(layer: Layer, width: int) -> int:
    """Numbers per word that leave a layer."""
    return {"dense": layer.units, "window": layer.units, "lstm": 2 * layer.units}.get(layer.kind, width)


def _layer_weights(rng: np.random.Generator, layer: Layer, width: int) -> Weights:
    units = layer.units
    if layer.kind == "dense":
        return {"kernel": _glorot(rng, (width, units)), "bias": np.zeros(units, np.float32)}
    if layer.kind == "window":
        return {
            "kernel": _glorot(rng, (3 * width, units)),
            "bias": np.zeros(units, np.float32),
            "gain": np.ones(units, np.float32),
            "shift": np.zeros(units, np.float32),
        }
    if layer.kind == "lstm":
        bias = np.zeros((2, 8 * units), np.float32)
        bias[:, 2 * units : 3 * units] = 1.0
        return {
            "W": np.stack([_glorot(rng, (4 * units, width)) for _ in range(2)]),
            "R": np.stack([_glorot(rng, (4 * units, units)) for _ in range(2)]),
            "B": bias,
        }
    return {}


def _glorot(rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float32]:
    return _uniform(rng, shape, float(np.sqrt(6.0 / sum(shape))))


def _uniform(rng: np.random.Generator, shape: tuple[int, ...], limit: float) -> NDArray[np.float32]:
    return rng.uniform(-limit, limit, shape).astype(np.float32)
