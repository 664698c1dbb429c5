"""The folders that nerapp needs are looked at when it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nerapp.checks import data_can_be_written, models_are_there
from tests.bundles import tiny_bundle


def _ids(found: list[Any]) -> list[str]:
    return [message.id for message in found]


def test_a_missing_models_folder_is_an_error_that_names_it(settings: Any, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path / "nowhere"
    [message] = models_are_there(None)
    assert message.id == "nerapp.E001"
    assert "nowhere" in message.msg


def test_an_empty_models_folder_is_a_warning(settings: Any, tmp_path: Path) -> None:
    settings.MODELS_DIR = tmp_path
    assert _ids(models_are_there(None)) == ["nerapp.W001"]
    tiny_bundle(tmp_path / "tiny")
    assert models_are_there(None) == []


def test_a_data_folder_that_can_be_made_is_fine(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "a" / "b"
    assert data_can_be_written(None) == []


def test_a_read_only_data_folder_is_an_error(settings: Any) -> None:
    settings.DATA_DIR = Path("/proc/nerapp")  # read-only for root too
    assert _ids(data_can_be_written(None)) == ["nerapp.E002"]


def test_a_file_in_place_of_the_data_folder_is_an_error(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    settings.DATA_DIR = tmp_path / "data"
    assert _ids(data_can_be_written(None)) == ["nerapp.E002"]
