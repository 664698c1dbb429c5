"""MLflow hears of everything, and its absence costs a line in the log."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import LazySettings

from retraining import tracking
from retraining.tracking import Subject, Tracker, alias_point, git_commit

pytestmark = pytest.mark.slow

SUBJECT = Subject(
    experiment="orchard",
    name="run 1",
    params={"epochs": 10, "start_from": "flagship@1"},
    tags={"nerapp.run": "1"},
    dataset="corrections of orchard",
    dataset_digest="d" * 64,
)


@pytest.mark.usefixtures("services")
def test_a_run_is_tracked_with_its_numbers_documents_and_version(
    settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path
    # MLflow makes its tables first, while other tests have the cores; its patience is tested below.
    monkeypatch.setattr(tracking, "PATIENCE_SECONDS", 120)
    tracker = Tracker(SUBJECT)
    tracker.start()
    for step, loss in enumerate((0.9, 0.5)):
        tracker.metrics({"loss": loss}, step=step)
    tracker.document("card.md", "# A model")
    tracker.document("verdict.json", {"passed": True})
    tracker.register(model="orchard", version="orchard@1", sha256="a" * 64, bundle=tmp_path, card="# A model")
    assert tracker.close("FINISHED") == ""

    client = tracking._client()
    run = client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["start_from"] == "flagship@1"
    assert [m.value for m in client.get_metric_history(tracker.run_id, "loss")] == [0.9, 0.5]
    assert {found.path for found in client.list_artifacts(tracker.run_id)} == {"card.md", "verdict.json"}
    assert run.inputs.dataset_inputs[0].dataset.digest == "d" * 32
    version = client.get_model_version_by_alias("orchard", "candidate")
    assert version.tags["nerapp.version"] == "orchard@1"

    assert alias_point(model="orchard", alias="champion", version="orchard@1")
    assert not alias_point(model="orchard", alias="champion", version="orchard@9")
    assert client.get_model_version_by_alias("orchard", "champion").version == version.version

    # A second attempt goes on with the same run and registers nothing twice.
    again = Tracker(SUBJECT, run_id=tracker.run_id)
    again.start()
    again.register(model="orchard", version="orchard@1", sha256="a" * 64, bundle=tmp_path, card="# A model")
    assert again.close("FINISHED") == ""
    assert len(client.search_model_versions("name = 'orchard'")) == 1


def test_a_dead_mlflow_is_one_word_at_the_end(
    settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MLFLOW_TRACKING_URI = "postgresql://nobody@127.0.0.1:1/mlflow"
    monkeypatch.setattr(tracking, "PATIENCE_SECONDS", 2)
    tracker = Tracker(SUBJECT)
    tracker.start()
    tracker.metrics({"loss": 0.5}, step=1)
    assert tracker.close("FINISHED") != ""
    assert tracker.run_id == ""


def test_a_clone_knows_its_commit() -> None:
    assert len(git_commit()) in (0, 40)
