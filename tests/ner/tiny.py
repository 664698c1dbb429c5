"""A small untrained bundle of any architecture, made in milliseconds without TensorFlow."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from ner.config import Architecture, FeatureSettings, Layer, TrainConfig
from ner.features import FeatureEncoder
from ner.training.embeddings import Vectors, pack
from ner.training.jobs import Job
from ner.training.weights import initial_weights
from ner.training.write import write_model

LABELS = ("per", "geo")
WORDS = ("the", "obama", "paris", "visited", ".", "'s", "00")
LAYERS = {
    "window": (
        Layer(kind="dropout", rate=0.1),
        Layer(kind="dense", units=12),
        Layer(kind="window", units=12, dilation=1),
        Layer(kind="window", units=12, dilation=2),
    ),
    "lstm": (Layer(kind="lstm", units=5, rate=0.1), Layer(kind="lstm", units=4)),
    "dense": (Layer(kind="dense", units=6), Layer(kind="dropout", rate=0.3)),
}


def tiny_job(kind: str = "window", *, seed: int = 1) -> Job:
    """Everything a bundle is written from."""
    crf = kind == "window"
    architecture = Architecture(
        word_dim=6,
        case_dim=2 if crf else 0,
        hash_dim=3 if crf else 0,
        layers=LAYERS[kind],
        output="crf" if crf else "softmax",
    )
    features = FeatureSettings(
        lowercase=crf, hashed=("prefix3", "shape") if crf else (), buckets=20, vectors=4 if crf else 0
    )
    weights = initial_weights(architecture, features, words=len(WORDS), tags=5, seed=seed)
    rng = np.random.default_rng(seed)
    # Larger than a fresh start, so that answers differ from word to word.
    weights = {
        name: (value + rng.normal(0, 0.5, value.shape)).astype(np.float32) for name, value in weights.items()
    }
    return Job(
        architecture=architecture,
        features=features,
        labels=LABELS,
        encoder=FeatureEncoder(features, WORDS, ("the", "paris") if crf else ()),
        vectors=tiny_vectors() if crf else None,
        weights=weights,
        draw=lambda rng: [],
        dev=[],
        counts=Counter(),
        epochs=1,
        summary="",
    )


def tiny_vectors() -> Vectors:
    """Two words with four numbers each."""
    return pack(("the", "paris"), np.arange(8, dtype=np.float32).reshape(2, 4) / 8)


def tiny_bundle(path: Path, kind: str = "window", *, seed: int = 1) -> Path:
    """Write the bundle and return its folder."""
    job = tiny_job(kind, seed=seed)
    config = TrainConfig(family="flagship", seed=seed)
    write_model(path, config, job, job.weights, temperature=1.3, metrics={"dev": {"f1": 0.5}})
    return path
