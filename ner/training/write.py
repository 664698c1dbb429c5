"""A trained network as a bundle, with its model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ner.bundle import array_bytes, line_bytes, write_bundle
from ner.config import ModelConfig, TrainConfig, to_json
from ner.training.card import model_card
from ner.training.export import to_onnx
from ner.training.jobs import Job
from ner.training.weights import Weights


def write_model(
    out: Path,
    config: TrainConfig,
    job: Job,
    weights: Weights,
    *,
    temperature: float,
    metrics: Mapping[str, Any],
) -> str:
    """Write the bundle of a trained network; returns its SHA-256."""
    model = ModelConfig(
        family=config.family,
        architecture=job.architecture,
        features=job.features,
        labels=job.labels,
        language=config.language,
        temperature=temperature,
        parameters=sum(value.size for value in weights.values()),
        parent=job.parent,
        training=config,
    )
    network = {name: value for name, value in weights.items() if not name.startswith("crf.")}
    files: dict[str, bytes | Path] = {
        "model.onnx": to_onnx(job.architecture, job.features, network),
        "config.json": to_json(model).encode(),
        "words.txt": line_bytes(job.encoder.words),
        "metrics.json": json.dumps(metrics, indent=1).encode() + b"\n",
        "card.md": model_card(model, metrics).encode(),
    }
    if job.architecture.output == "crf":
        rows = [weights["crf.start"], weights["crf.end"], *weights["crf.matrix"]]
        files["transitions.npy"] = array_bytes(np.stack(rows).astype(np.float32))
    if job.vectors is not None:
        files |= job.vectors.files()
    return write_bundle(out, files)
