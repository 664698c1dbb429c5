"""The network as an ONNX graph, written operator by operator.

A converter would need the TensorFlow graph, keep its names and unroll what it does not understand;
ten operators by hand give one LSTM operator per layer, true lengths, and weights under the names of
``network.py``, which is how a later training run continues from a bundle. Embedding tables are kept
in half precision and widened after the look-up; everything else stays in single precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from ner.config import Architecture, FeatureSettings, Layer
from ner.training.weights import EMBEDDINGS, Weights, input_width, layer_width

_OPSET = 17
_END = np.iinfo(np.int64).max


def to_onnx(
    architecture: Architecture, features: FeatureSettings, weights: Mapping[str, NDArray[Any]]
) -> bytes:
    """The graph that computes emissions from ``features``, ``lengths`` and ``vectors``."""
    graph = _Graph()
    flow = _embed(graph, architecture, features, weights)
    width = input_width(architecture, features)
    mask = _mask(graph) if any(layer.kind == "window" for layer in architecture.layers) else ""
    for place, layer in enumerate(architecture.layers):
        own = {
            name.partition(".")[2]: graph.weight(name, value)
            for name, value in weights.items()
            if name.startswith(f"{place}.")
        }
        flow = _layer(graph, layer, own, flow, mask)
        width = layer_width(layer, width)
    product = graph.node("MatMul", flow, graph.weight("out.kernel", weights["out.kernel"]))
    bias = graph.weight("out.bias", weights["out.bias"])
    graph.node("Add", product, bias, output="emissions")
    return graph.serialize(features, tags=len(weights["out.bias"]))


def from_onnx(weights: Mapping[str, NDArray[Any]]) -> Weights:
    """The network's weights among the initialisers of a graph written here."""
    return {
        name: np.array(value, dtype=np.float32)
        for name, value in weights.items()
        if not name.startswith("const.")
    }


class _Graph:
    """Collects nodes and weights under unique names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: dict[str, Any] = {}
        self.inputs = {"features"}

    def node(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def weight(self, name: str, value: NDArray[Any]) -> str:
        kind = np.float16 if name in EMBEDDINGS else np.float32
        self.weights[name] = numpy_helper.from_array(np.ascontiguousarray(value, kind), name)
        return name

    def constant(self, *numbers: int, scalar: bool = False, kind: Any = np.int64) -> str:
        name = f"const.{np.dtype(kind).name}.{'_'.join(map(str, numbers))}{'s' if scalar else ''}"
        value = np.array(numbers[0] if scalar else numbers, dtype=kind)
        self.weights[name] = numpy_helper.from_array(value, name)
        return name

    def column(self, first: int, stop: int | None) -> str:
        """Some columns of the features."""
        ends = self.constant(_END if stop is None else stop)
        return self.node("Slice", "features", self.constant(first), ends, self.constant(2))

    def look_up(self, table: str, rows: str) -> str:
        return self.node("Cast", self.node("Gather", table, rows), to=TensorProto.FLOAT)

    def use_lengths(self) -> str:
        self.inputs.add("lengths")
        return "lengths"

    def serialize(self, features: FeatureSettings, *, tags: int) -> bytes:
        columns = 2 + len(features.hashed)
        shapes = {
            "features": (TensorProto.INT32, ["batch", "time", columns]),
            "lengths": (TensorProto.INT32, ["batch"]),
            "vectors": (TensorProto.FLOAT, ["batch", "time", features.vectors]),
        }
        graph = helper.make_graph(
            self.nodes,
            "tagger",
            [helper.make_tensor_value_info(name, *shapes[name]) for name in shapes if name in self.inputs],
            [helper.make_tensor_value_info("emissions", TensorProto.FLOAT, ["batch", "time", tags])],
            list(self.weights.values()),
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], producer_name="nerapp"
        )
        model.ir_version = 8
        onnx.checker.check_model(model)
        serialized: bytes = model.SerializeToString()
        return serialized


def _embed(
    graph: _Graph,
    architecture: Architecture,
    features: FeatureSettings,
    weights: Mapping[str, NDArray[Any]],
) -> str:
    axis = graph.constant(2)
    word = graph.node("Squeeze", graph.column(0, 1), axis)
    parts = [graph.look_up(graph.weight("word", weights["word"]), word)]
    if architecture.case_dim:
        case = graph.node("Squeeze", graph.column(1, 2), axis)
        parts.append(graph.look_up(graph.weight("case", weights["case"]), case))
    if features.hashed:
        count = len(features.hashed)
        starts = graph.constant(*(part * features.buckets for part in range(count)), kind=np.int32)
        rows = graph.node("Add", graph.column(2, None), starts)
        found = graph.look_up(graph.weight("hash", weights["hash"]), rows)
        flat = graph.constant(0, 0, count * architecture.hash_dim)
        parts.append(graph.node("Reshape", found, flat))
    if features.vectors:
        graph.inputs.add("vectors")
        parts.append("vectors")
    return graph.node("Concat", *parts, axis=2) if len(parts) > 1 else parts[0]


def _mask(graph: _Graph) -> str:
    """1 inside each sentence, 0 in its padding: ``[batch, time, 1]``."""
    shape = graph.node("Shape", "features", start=1, end=2)
    time = graph.node("Squeeze", graph.node("Cast", shape, to=TensorProto.INT32))
    first = graph.constant(0, scalar=True, kind=np.int32)
    step = graph.constant(1, scalar=True, kind=np.int32)
    places = graph.node("Range", first, time, step)
    lengths = graph.node("Unsqueeze", graph.use_lengths(), graph.constant(1))
    inside = graph.node("Cast", graph.node("Less", places, lengths), to=TensorProto.FLOAT)
    return graph.node("Unsqueeze", inside, graph.constant(2))


def _layer(graph: _Graph, layer: Layer, own: Mapping[str, str], flow: str, mask: str) -> str:
    if layer.kind == "dropout":
        return flow
    if layer.kind == "dense":
        return _dense(graph, own, flow)
    if layer.kind == "window":
        return _window(graph, layer, own, graph.node("Mul", flow, mask))
    return _lstm(graph, layer, own, flow)


def _dense(graph: _Graph, own: Mapping[str, str], flow: str) -> str:
    return graph.node("Relu", graph.node("Add", graph.node("MatMul", flow, own["kernel"]), own["bias"]))


def _window(graph: _Graph, layer: Layer, own: Mapping[str, str], flow: str) -> str:
    reach = layer.dilation
    padded = graph.node("Pad", flow, graph.constant(0, reach, 0, 0, reach, 0))
    axis = graph.constant(1)
    before = graph.node("Slice", padded, graph.constant(0), graph.constant(-2 * reach), axis)
    after = graph.node("Slice", padded, graph.constant(2 * reach), graph.constant(_END), axis)
    seen = _dense(graph, own, graph.node("Concat", before, flow, after, axis=2))
    total = graph.node("Add", flow, seen)
    return graph.node("LayerNormalization", total, own["gain"], own["shift"], axis=-1, epsilon=1e-5)


def _lstm(graph: _Graph, layer: Layer, own: Mapping[str, str], flow: str) -> str:
    by_time = graph.node("Transpose", flow, perm=[1, 0, 2])
    output = graph.node(
        "LSTM",
        by_time,
        own["W"],
        own["R"],
        own["B"],
        graph.use_lengths(),
        hidden_size=layer.units,
        direction="bidirectional",
    )
    by_row = graph.node("Transpose", output, perm=[2, 0, 1, 3])
    return graph.node("Reshape", by_row, graph.constant(0, 0, 2 * layer.units))
