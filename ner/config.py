"""The two closed records of a model: what it is (``ModelConfig``) and how to train (``TrainConfig``).

Both are frozen dataclasses read from JSON without tolerance: an unknown or missing key, or a value
of another type, is refused. Both are written into the bundle, the seed included.
"""

from __future__ import annotations

import json
import types
import typing
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar

from ner.errors import BadConfig
from ner.tokens import TOKENIZER_VERSION

BASE_LABELS = ("geo", "gpe", "org", "per", "tim", "art", "eve", "nat")
FAMILIES = ("baseline", "model2", "advanced", "flagship")


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer between the embeddings and the output."""

    kind: Literal["dense", "window", "lstm", "dropout"]
    units: int = 0
    dilation: int = 1
    rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A tagger: embeddings, a stack of layers, and a CRF or a softmax over the tags."""

    word_dim: int
    layers: tuple[Layer, ...]
    output: Literal["crf", "softmax"]
    case_dim: int = 0
    hash_dim: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """How a word becomes numbers; the same in training and in serving.

    ``lowercase`` also writes every digit as 0. ``hashed`` names the parts of a word that are hashed
    into ``buckets`` rows. ``vectors`` is the width of the pretrained vectors, 0 without.
    """

    lowercase: bool = False
    hashed: tuple[str, ...] = ()
    buckets: int = 4000
    vectors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """How to train: everything that decides the result besides the data.

    ``batch_tokens`` bounds a batch by its words, not its sentences. ``word_dropout`` hides words
    and ``rare_dropout`` rare ones, so that the model learns what to do with unknown ones.
    ``class_weights`` gives sentences with rare labels more weight.

    A run that continues a champion takes about ``fine_tuning_steps`` steps instead of ``epochs``;
    ``rehearsal_share`` of its words are rehearsed, and old weights learn at ``old_rate`` of the rate.
    """

    family: str = "flagship"
    labels: tuple[str, ...] = ()
    language: str = "en"
    epochs: int = 6
    batch_tokens: int = 800
    learning_rate: float = 2e-3
    gradient_clip: float = 5.0
    word_dropout: float = 0.02
    rare_dropout: float = 0.3
    min_count: int = 2
    patience: int = 3
    class_weights: bool = False
    fine_tuning_steps: int = 600
    rehearsal_share: float = 0.5
    old_rate: float = 0.3
    seed: int = 1
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What a bundle is: read by the runtime, never changed after training."""

    family: str
    architecture: Architecture
    features: FeatureSettings
    labels: tuple[str, ...]
    language: str = "en"
    tokenizer: int = TOKENIZER_VERSION
    temperature: float = 1.0
    parameters: int = 0
    parent: str | None = None
    training: TrainConfig = TrainConfig()

    def __post_init__(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise BadConfig(name="labels", problem="a label occurs twice")
        if self.tokenizer != TOKENIZER_VERSION:
            raise BadConfig(
                name="tokenizer",
                problem=f"version {self.tokenizer} is not the one in use, {TOKENIZER_VERSION}",
            )
        if not self.temperature > 0:
            raise BadConfig(name="temperature", problem="is not positive")


def to_json(config: ModelConfig | TrainConfig) -> str:
    """The record as JSON text."""
    return json.dumps(asdict(config), indent=1, ensure_ascii=False) + "\n"


Record = TypeVar("Record", ModelConfig, TrainConfig)


def from_json(kind: type[Record], body: object) -> Record:
    """Read a record from parsed JSON, refusing what it does not know."""
    record: Record = _read(kind, body, kind.__name__)
    return record


def _read(kind: Any, body: Any, name: str) -> Any:
    if is_dataclass(kind):
        return _read_record(kind, body, name)
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(body, list):
            raise BadConfig(name=name, problem="is not a list")
        item = typing.get_args(kind)[0]
        return tuple(_read(item, part, f"{name}[{place}]") for place, part in enumerate(body))
    if origin is Literal:
        if body not in typing.get_args(kind):
            raise BadConfig(name=name, problem=f"must be one of {typing.get_args(kind)}")
        return body
    if origin is types.UnionType:
        return None if body is None else _read(typing.get_args(kind)[0], body, name)
    if kind is float and type(body) is int:
        return float(body)
    if type(body) is not kind:
        raise BadConfig(name=name, problem=f"is not of type {kind.__name__}")
    return body


def _read_record(kind: Any, body: Any, name: str) -> Any:
    if not isinstance(body, dict):
        raise BadConfig(name=name, problem="is not an object")
    hints = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    for key in body:
        if key not in known:
            raise BadConfig(name=f"{name}.{key}", problem="is not known")
    values = {}
    for key, field in known.items():
        if key in body:
            values[key] = _read(hints[key], body[key], f"{name}.{key}")
        elif field.default is MISSING:
            raise BadConfig(name=f"{name}.{key}", problem="is missing")
    return kind(**values)
