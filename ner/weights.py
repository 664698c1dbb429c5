"""The named weights of an ONNX file, read without the ``onnx`` package.

Serving needs them to refuse numbers that are not finite and training to continue from them; both
want four message fields of the protocol buffer, not a dependency of 70 MB in every web process.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
from numpy.typing import NDArray

_MODEL_GRAPH, _GRAPH_INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _NAME, _RAW = 1, 2, 8, 9
_TYPES: dict[int, type[np.generic]] = {
    1: np.float32,
    3: np.int8,
    6: np.int32,
    7: np.int64,
    10: np.float16,
}


def read_weights(model: bytes) -> dict[str, NDArray[np.generic]]:
    """All initialisers by name; raises ``ValueError`` for what is not such a file."""
    weights: dict[str, NDArray[np.generic]] = {}
    for field, graph in _fields(memoryview(model)):
        if field == _MODEL_GRAPH and isinstance(graph, memoryview):
            for inner, tensor in _fields(graph):
                if inner == _GRAPH_INITIALIZER and isinstance(tensor, memoryview):
                    name, array = _tensor(tensor)
                    weights[name] = array
    if not weights:
        raise ValueError("no weights")
    return weights


def not_finite(weights: dict[str, NDArray[np.generic]]) -> str | None:
    """The name of the first weight that holds an infinity or a NaN."""
    for name, array in weights.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return name
    return None


def _tensor(message: memoryview) -> tuple[str, NDArray[np.generic]]:
    shape: list[int] = []
    name, kind, raw = "", 0, memoryview(b"")
    for field, value in _fields(message):
        if field == _DIMS:
            shape.extend(_packed(value) if isinstance(value, memoryview) else [value])
        elif field == _DATA_TYPE and isinstance(value, int):
            kind = value
        elif field == _NAME and isinstance(value, memoryview):
            name = bytes(value).decode()
        elif field == _RAW and isinstance(value, memoryview):
            raw = value
    if kind not in _TYPES:
        raise ValueError(f"weight {name!r} has the unknown type {kind}")
    array = np.frombuffer(raw, dtype=_TYPES[kind])
    if array.size != prod(shape):
        raise ValueError(f"weight {name!r} is cut short")
    return name, array.reshape(shape)


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Field numbers and values of one message: integers, or the bytes of what has a length."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        field, wire = key >> 3, key & 7
        if wire == 0:
            value, position = _varint(message, position)
            yield field, value
            continue
        if wire == 2:
            size, position = _varint(message, position)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise ValueError("not a protocol buffer")
        if position + size > len(message):
            raise ValueError("a field is cut short")
        yield field, message[position : position + size]
        position += size


def _packed(message: memoryview) -> Iterator[int]:
    position = 0
    while position < len(message):
        value, position = _varint(message, position)
        yield value


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(message) or shift > 63:
            raise ValueError("a number is cut short")
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
