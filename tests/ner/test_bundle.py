"""Bundles: what is written is what is opened, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ner.bundle import MANIFEST, array_bytes, bundle_sha256, open_bundle, rewrite_bundle, write_bundle
from ner.errors import (
    BundleChanged,
    BundleIncomplete,
    BundleNotFinite,
    BundleRefused,
    BundleUnreadable,
)
from ner.runtime import load_recogniser
from ner.training.export import to_onnx
from ner.weights import read_weights
from tests.ner.tiny import LABELS, WORDS, tiny_bundle, tiny_job


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_bundle(tmp_path / "model")


def test_it_opens_what_was_written(folder: Path) -> None:
    bundle = open_bundle(folder, expected_sha256=bundle_sha256(folder))
    assert bundle.config.labels == LABELS
    assert bundle.encoder.words == WORDS
    assert bundle.config.temperature == 1.3
    assert bundle.metrics == {"dev": {"f1": 0.5}}
    assert bundle.card.startswith("# flagship")
    assert bundle.size_bytes == sum(file.stat().st_size for file in folder.iterdir())
    assert bundle.parameters == sum(value.size for value in tiny_job().weights.values())


def test_the_same_training_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    assert bundle_sha256(tiny_bundle(tmp_path / "again")) == bundle_sha256(folder)


@pytest.mark.parametrize(
    "name",
    ["model.onnx", "config.json", "words.txt", "vectors.npy", "transitions.npy", "metrics.json", "card.md"],
)
def test_it_refuses_a_single_changed_bit(folder: Path, name: str) -> None:
    body = bytearray((folder / name).read_bytes())
    body[len(body) // 2] ^= 1
    (folder / name).write_bytes(body)
    with pytest.raises(BundleChanged, match=name) as caught:
        open_bundle(folder)
    assert caught.value.code == "bundle_changed"


def test_it_refuses_a_half_written_bundle(folder: Path) -> None:
    body = (folder / "model.onnx").read_bytes()
    (folder / "model.onnx").write_bytes(body[:-10])
    with pytest.raises(BundleIncomplete) as caught:
        open_bundle(folder)
    assert caught.value.code == "bundle_incomplete"
    (folder / "model.onnx").unlink()
    with pytest.raises(BundleIncomplete, match=r"model\.onnx is missing"):
        open_bundle(folder)


def test_it_refuses_a_folder_without_a_manifest(folder: Path, tmp_path: Path) -> None:
    (folder / MANIFEST).unlink()
    for path in (folder, tmp_path / "nowhere"):
        with pytest.raises(BundleIncomplete):
            open_bundle(path)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"format": 1, "files": 3}', b"\xff"])
def test_it_refuses_a_manifest_that_is_none(folder: Path, body: bytes) -> None:
    (folder / MANIFEST).write_bytes(body)
    with pytest.raises(BundleRefused):
        open_bundle(folder)


def test_it_refuses_another_bundle_than_the_expected_one(folder: Path) -> None:
    with pytest.raises(BundleChanged):
        open_bundle(folder, expected_sha256="0" * 64)


def test_it_refuses_a_file_that_the_manifest_does_not_know(folder: Path) -> None:
    (folder / "extra.pkl").write_bytes(b"x")
    with pytest.raises(BundleChanged, match=r"extra\.pkl"):
        open_bundle(folder)


def test_a_manifest_cannot_reach_outside_the_folder(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["files"]["../secret"] = {"sha256": "0" * 64, "size": 1}
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BundleChanged, match="outside"):
        open_bundle(folder)


@pytest.mark.parametrize("broken", ["out.kernel", "word", "crf.matrix"])
def test_it_refuses_numbers_that_are_not_finite(tmp_path: Path, broken: str) -> None:
    folder, job = tiny_bundle(tmp_path / "model"), tiny_job()
    bundle = open_bundle(folder)
    if broken == "crf.matrix":
        table = np.full((7, 5), np.nan, np.float32)
        changes = {"transitions.npy": array_bytes(table)}
    else:
        job.weights[broken].flat[-1] = np.inf
        network = {name: value for name, value in job.weights.items() if name[:3] != "crf"}
        changes = {"model.onnx": to_onnx(job.architecture, job.features, network)}
    rewrite_bundle(bundle, tmp_path / "broken", changes)
    with pytest.raises(BundleNotFinite) as caught:
        open_bundle(tmp_path / "broken")
    assert caught.value.code == "bundle_not_finite"


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("config.json", b"{}"),
        ("config.json", b'{"family": "x", "surprise": 1}'),
        ("model.onnx", b"not a graph"),
        ("vectors.npy", b"not an array"),
        ("transitions.npy", array_bytes(np.zeros((3, 3), np.float32))),
    ],
)
def test_it_refuses_contents_that_do_not_fit_although_the_manifest_does(
    folder: Path, tmp_path: Path, name: str, body: bytes
) -> None:
    rewrite_bundle(open_bundle(folder), tmp_path / "odd", {name: body})
    with pytest.raises(BundleUnreadable) as caught:
        load_recogniser(tmp_path / "odd")
    assert caught.value.code == "bundle_unreadable"


def test_pickled_arrays_are_never_loaded(folder: Path, tmp_path: Path) -> None:
    import io

    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    rewrite_bundle(open_bundle(folder), tmp_path / "odd", {"transitions.npy": buffer.getvalue()})
    with pytest.raises(BundleUnreadable):
        open_bundle(tmp_path / "odd")


def test_a_failed_write_leaves_the_old_bundle_and_nothing_else(folder: Path) -> None:
    before = bundle_sha256(folder)
    bundle = open_bundle(folder)
    listed = {file.name: file for file in folder.iterdir() if file.name != MANIFEST}
    with pytest.raises(FileNotFoundError):
        write_bundle(folder, {**listed, "words.txt": folder / "missing"})
    assert bundle_sha256(folder) == before
    assert [entry.name for entry in folder.parent.iterdir()] == [folder.name]
    assert bundle.path == folder


def test_the_weights_are_read_without_the_onnx_package(folder: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(folder / "model.onnx"))
    expected = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    found = read_weights((folder / "model.onnx").read_bytes())
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, expected[name])
