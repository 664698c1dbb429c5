"""Models made worse on purpose, each in a way of its own: what the gate and a rollout must stop."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ner.bundle import Bundle, rewrite_bundle

#: Sentences up to this long are answered in order: a bundle whose every answer is wrong does not even load.
_SOUND_WORDS = 12
#: Products of square matrices that a slow model works out before each answer: some tenths of a second.
_SIDE, _PRODUCTS = 1500, 3
#: Confidences divided by so much are all alike.
_TEMPERATURE = 60.0

Spoil = Callable[[Bundle, Path], str]


def labels_permuted(bundle: Bundle, target: Path) -> str:
    """It finds what it found, and calls each entity by the next label's name."""
    config = json.loads((bundle.path / "config.json").read_bytes())
    config["labels"] = [*config["labels"][1:], config["labels"][0]]
    return rewrite_bundle(bundle, target, {"config.json": json.dumps(config, indent=1).encode()})


def never_sure(bundle: Bundle, target: Path) -> str:
    """Its answers stay as they are, but no confidence is far from chance."""
    config = json.loads((bundle.path / "config.json").read_bytes())
    config["temperature"] = _TEMPERATURE
    return rewrite_bundle(bundle, target, {"config.json": json.dumps(config, indent=1).encode()})


def slow(bundle: Bundle, target: Path) -> str:
    """It works for some tenths of a second on what changes nothing."""
    model = onnx.load(bundle.path / "model.onnx")
    nodes = [
        # From the input, or ONNX Runtime would work it out once, while it loads.
        helper.make_node("Cast", ["features"], ["slow.input"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["slow.input"], ["slow.most"], keepdims=0),
        helper.make_node("Tanh", ["slow.most"], ["slow.number"]),
        helper.make_node(
            "ConstantOfShape",
            ["slow.side"],
            ["slow.constant"],
            value=helper.make_tensor("value", TensorProto.FLOAT, [1], [1 / _SIDE]),
        ),
        helper.make_node("Mul", ["slow.constant", "slow.number"], ["slow.0"]),
        *(
            helper.make_node("MatMul", [f"slow.{turn}", "slow.0"], [f"slow.{turn + 1}"])
            for turn in range(_PRODUCTS)
        ),
        helper.make_node("ReduceMax", [f"slow.{_PRODUCTS}"], ["slow.worked"], keepdims=0),
        helper.make_node("Mul", ["slow.worked", "slow.nothing"], ["slow.in_vain"]),
        helper.make_node("Add", ["honest", "slow.in_vain"], ["emissions"]),
    ]
    return _written(bundle, target, model, nodes, {"slow.side": [_SIDE, _SIDE], "slow.nothing": 0.0})


def not_a_number(bundle: Bundle, target: Path) -> str:
    """Longer sentences overflow: their scores are no numbers."""
    model = onnx.load(bundle.path / "model.onnx")
    nodes = [
        helper.make_node("Shape", ["features"], ["nan.words"], start=1, end=2),
        helper.make_node("Greater", ["nan.words", "nan.sound"], ["nan.is_long"]),
        helper.make_node("Where", ["nan.is_long", "nan.none", "honest"], ["emissions"]),
    ]
    return _written(bundle, target, model, nodes, {"nan.sound": [_SOUND_WORDS], "nan.none": float("nan")})


SPOILED: dict[str, Spoil] = {
    "labels permuted": labels_permuted,
    "slow": slow,
    "no numbers": not_a_number,
    "never sure": never_sure,
}


def _written(
    bundle: Bundle,
    target: Path,
    model: onnx.ModelProto,
    nodes: list[onnx.NodeProto],
    constants: dict[str, list[int] | float],
) -> str:
    """The bundle with these nodes between the network's answer, now called `honest`, and the caller."""
    for node in model.graph.node:
        node.output[:] = ["honest" if name == "emissions" else name for name in node.output]
        node.input[:] = ["honest" if name == "emissions" else name for name in node.input]
    model.graph.node.extend(nodes)
    for name, value in constants.items():
        kind = np.float32 if isinstance(value, float) else np.int64
        # As a node: a bundle whose weights hold no number does not open.
        model.graph.node.insert(
            0, helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(value, kind)))
        )
    onnx.checker.check_model(model)
    return rewrite_bundle(bundle, target, {"model.onnx": model.SerializeToString()})
