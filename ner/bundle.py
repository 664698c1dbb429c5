"""A model on disk: a folder that proves itself.

``manifest.json`` holds the size and SHA-256 of every other file and is written last, into a folder
that gets its name only when all of it is on the disk; its own SHA-256 names the bundle. Opening
checks all of it, and that every number is finite. There is nothing executable in a bundle: JSON,
text, ``.npy`` arrays without pickle, and an ONNX graph.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ner.config import ModelConfig, from_json
from ner.decode import Transitions
from ner.errors import (
    BadConfig,
    BundleChanged,
    BundleIncomplete,
    BundleNotFinite,
    BundleUnreadable,
)
from ner.features import FeatureEncoder, VectorTable
from ner.weights import not_finite, read_weights

MANIFEST = "manifest.json"
FORMAT = 1
REQUIRED = ("model.onnx", "config.json", "words.txt", "metrics.json", "card.md")


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: verified, its arrays mapped into memory, its graph not yet loaded."""

    path: Path
    sha256: str
    config: ModelConfig
    metrics: dict[str, Any]
    card: str
    size_bytes: int
    encoder: FeatureEncoder
    transitions: Transitions
    vectors: VectorTable | None

    @property
    def parameters(self) -> int:
        """How many numbers training decided."""
        return self.config.parameters

    def weights(self) -> dict[str, NDArray[np.generic]]:
        """The network's weights by name."""
        return read_weights((self.path / "model.onnx").read_bytes())


def bundle_sha256(path: Path) -> str:
    """The name of a bundle: the SHA-256 of its manifest."""
    return hashlib.sha256(_read(path, MANIFEST)).hexdigest()


def open_bundle(path: Path, *, expected_sha256: str | None = None, must_be_finite: bool = True) -> Bundle:
    """Open and verify; refuses a bundle that is changed, half-written or not finite.

    Who only wants to keep it, and lets others judge it, may take one that is not finite.
    """
    path = Path(path)
    manifest = _read(path, MANIFEST)
    sha256 = hashlib.sha256(manifest).hexdigest()
    if expected_sha256 is not None and sha256 != expected_sha256:
        raise BundleChanged(path=path, problem=f"it is {sha256}, not {expected_sha256}")
    size = len(manifest) + _verify(path, _listed(path, manifest))
    try:
        config = from_json(ModelConfig, json.loads((path / "config.json").read_bytes()))
        metrics = json.loads((path / "metrics.json").read_bytes())
        weights = read_weights((path / "model.onnx").read_bytes())
        encoder = FeatureEncoder(config.features, _lines(path, "words.txt"), _lines(path, "vectors.txt"))
        transitions, vectors = _transitions(path, config), _vectors(path, config)
        broken = _not_finite(weights, transitions, vectors) if must_be_finite else ""
        card = (path / "card.md").read_text("utf-8")
    except (ValueError, KeyError, OSError, BadConfig) as error:
        raise BundleUnreadable(path=path, problem=error) from error
    if broken:
        raise BundleNotFinite(path=path, problem=broken)
    return Bundle(path, sha256, config, metrics, card, size, encoder, transitions, vectors)


def write_bundle(target: Path, files: Mapping[str, bytes | Path]) -> str:
    """Write a bundle and return its SHA-256.

    ``files`` maps names to contents, or to files to copy. A reader sees the old folder, none, or
    the whole new one; a crash leaves at most a hidden folder beside it.
    """
    missing = [name for name in REQUIRED if name not in files]
    if missing:
        raise BundleIncomplete(path=target, problem=f"{missing[0]} is missing")
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}.{secrets.token_hex(4)}.partial"
    partial.mkdir()
    try:
        listed = {}
        for name, content in sorted(files.items()):
            body = content.read_bytes() if isinstance(content, Path) else content
            _write(partial / name, body)
            listed[name] = {"sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
        manifest = json.dumps({"format": FORMAT, "files": listed}, indent=1).encode() + b"\n"
        _write(partial / MANIFEST, manifest)
        _sync(partial)
        _put_in_place(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return hashlib.sha256(manifest).hexdigest()


def rewrite_bundle(bundle: Bundle, target: Path, changes: Mapping[str, bytes]) -> str:
    """Write a bundle like another one but for some files, such as its metrics and card."""
    listed = json.loads((bundle.path / MANIFEST).read_bytes())["files"]
    files: dict[str, bytes | Path] = {name: bundle.path / name for name in listed}
    return write_bundle(target, {**files, **changes})


def array_bytes(array: NDArray[Any]) -> bytes:
    """An array in ``.npy`` form."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def line_bytes(words: tuple[str, ...] | list[str]) -> bytes:
    """Words in the form of the vocabulary files: one a line, in the order of their ids."""
    return "\n".join(words).encode("utf-8", "surrogatepass")


def _listed(path: Path, manifest: bytes) -> dict[str, tuple[str, int]]:
    try:
        body = json.loads(manifest)
        if body["format"] != FORMAT:
            raise BundleUnreadable(path=path, problem=f"format {body['format']} is not {FORMAT}")
        files = {
            str(name): (str(entry["sha256"]), int(entry["size"])) for name, entry in body["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BundleChanged(path=path, problem="its manifest is not one") from error
    missing = [name for name in REQUIRED if name not in files]
    if missing:
        raise BundleIncomplete(path=path, problem=f"the manifest does not list {missing[0]}")
    return files


def _verify(path: Path, files: Mapping[str, tuple[str, int]]) -> int:
    total = 0
    for name, (sha256, size) in files.items():
        if Path(name).name != name:
            raise BundleChanged(path=path, problem=f"{name!r} lies outside the folder")
        body = _read(path, name)
        if len(body) < size:
            raise BundleIncomplete(path=path, problem=f"{name} is cut short")
        if hashlib.sha256(body).hexdigest() != sha256:
            raise BundleChanged(path=path, problem=f"{name} differs from the manifest")
        total += size
    for entry in path.iterdir():
        if entry.name not in files and entry.name != MANIFEST and not entry.name.startswith("."):
            raise BundleChanged(path=path, problem=f"{entry.name} is not in the manifest")
    return total


def _read(path: Path, name: str) -> bytes:
    try:
        return (path / name).read_bytes()
    except OSError as error:
        raise BundleIncomplete(path=path, problem=f"{name} is missing") from error


def _lines(path: Path, name: str) -> list[str]:
    if not (path / name).exists():
        return []
    text = (path / name).read_bytes().decode("utf-8", "surrogatepass")
    return text.split("\n") if text else []


def _transitions(path: Path, config: ModelConfig) -> Transitions:
    if config.architecture.output == "softmax":
        return Transitions.free(len(config.labels))
    table = np.load(path / "transitions.npy", allow_pickle=False)
    tags = 1 + 2 * len(config.labels)
    if table.shape != (tags + 2, tags):
        raise ValueError("transitions.npy does not fit the labels")
    return Transitions.learned(table[0], table[2:], table[1])


def _vectors(path: Path, config: ModelConfig) -> VectorTable | None:
    if not config.features.vectors:
        return None
    rows = np.load(path / "vectors.npy", mmap_mode="r", allow_pickle=False)
    scales = np.load(path / "scales.npy", allow_pickle=False)
    if rows.ndim != 2 or rows.shape[1] != config.features.vectors or len(scales) != len(rows):
        raise ValueError("vectors.npy does not fit the configuration")
    return VectorTable(rows, scales)


def _not_finite(
    weights: dict[str, NDArray[np.generic]], transitions: Transitions, vectors: VectorTable | None
) -> str:
    """Where the first number lies that is none; empty for a sound bundle."""
    if broken := not_finite(weights):
        return f"{broken} in model.onnx"
    if not all(np.isfinite(part).all() for part in (transitions.start, transitions.matrix, transitions.end)):
        return "transitions.npy"
    return "" if vectors is None or np.isfinite(vectors.scales).all() else "scales.npy"


def _write(path: Path, body: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(body)
        stream.flush()
        os.fsync(stream.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put_in_place(partial: Path, target: Path) -> None:
    aside = target.parent / f".{target.name}.{secrets.token_hex(4)}.old"
    if target.exists():
        target.rename(aside)
    partial.rename(target)
    _sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)
