"""Bundles so small that a test can read their mind: a table of words with the tag of each."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ner.bundle import write_bundle
from ner.config import BASE_LABELS, Architecture, FeatureSettings, ModelConfig, to_json
from ner.features import FIRST_WORD
from ner.tags import tag_names

#: What the tiny model knows of the world.
WORDS = {
    "Ada": "B-per",
    "Lovelace": "I-per",
    "Grace": "B-per",
    "Hopper": "I-per",
    "Ann": "B-per",
    "London": "B-geo",
    "Boston": "B-geo",
    "1835": "B-tim",
}


def tiny_bundle(
    folder: Path,
    words: Mapping[str, str] = WORDS,
    *,
    labels: Sequence[str] = BASE_LABELS,
    family: str = "baseline",
    sureness: float = 6.0,
    unsure_of: Collection[str] = (),
    f1: float | None = None,
) -> Path:
    """Write a bundle that gives each known word its tag and calls every other word outside."""
    tags = tag_names(labels)
    table = np.zeros((FIRST_WORD + len(words), len(tags)), np.float32)
    table[:FIRST_WORD, 0] = sureness
    for row, tag in enumerate(words.values()):
        table[FIRST_WORD + row, tags.index(tag)] = sureness
    for row, word in enumerate(words):
        if word in unsure_of:
            table[FIRST_WORD + row] *= 0.5
    config = ModelConfig(
        family=family,
        architecture=Architecture(word_dim=len(tags), layers=(), output="softmax"),
        features=FeatureSettings(),
        labels=tuple(labels),
        parameters=int(table.size),
    )
    metrics = {}
    if f1 is not None:
        scores = {"precision": f1, "recall": f1, "f1": f1, "support": 10, "tp": 9, "fp": 1, "fn": 1}
        metrics = {"test": {"micro": scores, "labels": {"per": scores}, "documents": 10}}
    write_bundle(
        folder,
        {
            "model.onnx": _graph(table),
            "config.json": to_json(config).encode(),
            "words.txt": "\n".join(words).encode(),
            "metrics.json": json.dumps(metrics).encode(),
            "card.md": b"# A table of words\n",
        },
    )
    return folder


def _graph(table: np.ndarray) -> bytes:
    """Look the word's row up in the table: the scores of its tags."""
    constants = {
        "word": table,
        "const.first": np.array([0], np.int64),
        "const.stop": np.array([1], np.int64),
        "const.axis": np.array([2], np.int64),
    }
    nodes = [
        helper.make_node("Slice", ["features", "const.first", "const.stop", "const.axis"], ["column"]),
        helper.make_node("Squeeze", ["column", "const.axis"], ["ids"]),
        helper.make_node("Gather", ["word", "ids"], ["emissions"]),
    ]
    graph = helper.make_graph(
        nodes,
        "table",
        [helper.make_tensor_value_info("features", TensorProto.INT32, ["batch", "time", 2])],
        [helper.make_tensor_value_info("emissions", TensorProto.FLOAT, ["batch", "time", table.shape[1]])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    serialized: bytes = model.SerializeToString()
    return serialized
