"""The engine follows the database, loads each bundle once, and never trades a good model for a broken one."""

from __future__ import annotations

import gc
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.conf import settings
from django.db import OperationalError
from prometheus_client import REGISTRY

from audit.services import SYSTEM
from corpus.models import Document, Project
from corpus.selectors import label_set_current
from inference import engine as engine_module
from inference import upkeep as upkeep_module
from inference.engine import Engine, engine
from inference.errors import ModelLoading, ModelUnsound, ModelUnusable, UnknownModel
from inference.models import Deployment, ModelVersion
from inference.services import (
    blank_version_get,
    deployment_set,
    document_predict,
    documents_predict,
    prediction_make,
    version_promote,
    version_register,
)
from inference.upkeep import Upkeep
from ner.runtime import Recognition
from ner.spans import Span
from tests.bundles import WORDS, tiny_bundle
from tests.factories import document_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def candidate(project: Project, tmp_path: Path) -> ModelVersion:
    """A second version, which takes London for a person."""
    path = tiny_bundle(tmp_path / "second", WORDS | {"London": "B-per"})
    return version_register(path=path, name="tiny", project=project, actor=SYSTEM)


@pytest.fixture
def web(champion: ModelVersion) -> Engine:
    """The engine of a web process: it keeps a table."""
    engine.follows = True
    engine.refresh()
    return engine


def _promote(project: Project, version: ModelVersion) -> None:
    generation = Deployment.objects.get(project=project).generation
    version_promote(
        project=project, version=version, expected_generation=generation, actor=SYSTEM, reason="better"
    )


def _break(version: ModelVersion) -> Path:
    """Flip one bit of the weights of a stored bundle."""
    path = Path(settings.DATA_DIR) / "bundles" / version.sha256 / "model.onnx"
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(bytes(body))
    return path


def test_a_web_process_serves_what_was_promoted_after_its_next_look(
    web: Engine, project: Project, champion: ModelVersion, candidate: ModelVersion
) -> None:
    _promote(project, candidate)
    assert web.serving(project_id=project.pk, slot="champion").version == champion
    web.refresh()
    serving = web.serving(project_id=project.pk, slot="champion")
    assert serving.version == candidate
    assert [span.label for span in serving.recognise(["London"])[0].spans] == ["per"]


def test_the_look_is_two_queries_while_nothing_moved(web: Engine, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):  # the slots, and by what callers are dealt out to them
        web.refresh()


def test_a_request_asks_the_database_nothing_about_the_model(
    web: Engine, project: Project, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        web.serving(project_id=project.pk, slot="champion").recognise(["Ann"])


def test_a_name_is_looked_up_once_between_two_looks_and_then_means_what_serves_now(
    web: Engine,
    project: Project,
    candidate: ModelVersion,
    champion: ModelVersion,
    django_assert_num_queries: Any,
) -> None:
    for name in (champion.family, str(champion)):
        assert web.serving_named(project=project, name=name).version == champion
        with django_assert_num_queries(0):
            assert web.serving_named(project=project, name=name).version == champion
    _promote(project, candidate)
    web.refresh()
    assert web.serving_named(project=project, name=candidate.family).version == candidate
    assert web.serving_named(project=project, name=str(champion)).version == champion


def test_what_was_loaded_at_the_start_is_no_longer_searched_for_garbage(
    web: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(BaseException):
        pass

    def stop(_: float) -> None:
        raise Stopped

    monkeypatch.setattr(upkeep_module, "close_old_connections", lambda: None)
    monkeypatch.setattr(upkeep_module.time, "sleep", stop)
    gc.unfreeze()
    try:
        with pytest.raises(Stopped):
            Upkeep()._forever()
        assert gc.get_freeze_count() > 10_000
    finally:
        gc.unfreeze()


def test_a_bundle_is_loaded_once_however_many_ask(
    project: Project, candidate: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[Path] = []
    load = engine_module.load_recogniser

    def slow(path: Path, **options: Any) -> Any:
        loads.append(path)
        time.sleep(0.1)
        return load(path, **options)

    monkeypatch.setattr(engine_module, "load_recogniser", slow)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(engine.recogniser_for(candidate))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1
    assert len({id(recogniser) for recogniser in found}) == 1


def test_a_corrupt_bundle_is_refused_and_the_old_one_keeps_serving(
    web: Engine, project: Project, champion: ModelVersion, candidate: ModelVersion
) -> None:
    before = REGISTRY.get_sample_value("model_load_refused_total", {"reason": "bundle_changed"}) or 0
    _promote(project, candidate)  # this process has it in memory
    web.forget()
    web.follows = True
    Deployment.objects.update(version=champion, generation=1)
    web.refresh()
    path = _break(candidate)
    Deployment.objects.update(version=candidate, generation=2)

    web.refresh()

    serving = web.serving(project_id=project.pk, slot="champion")
    assert serving.version == champion
    assert serving.recognise(["London"])[0].spans == (Span(0, 6, "geo"),)
    [refusal] = web.refusals()
    assert (refusal.reason, refusal.serving) == ("bundle_changed", "tiny@1")
    after = REGISTRY.get_sample_value("model_load_refused_total", {"reason": "bundle_changed"})
    assert after == before + 1

    path.write_bytes(b"")
    _break_repaired(candidate, path)
    web._refusals = {key: _aged(refusal) for key, refusal in web._refusals.items()}
    web.refresh()
    assert web.serving(project_id=project.pk, slot="champion").version == candidate
    assert web.refusals() == []


def _break_repaired(version: ModelVersion, path: Path) -> None:
    words = WORDS | {"London": "B-per"}
    good = tiny_bundle(path.parent.parent / "again", words)
    path.write_bytes((good / "model.onnx").read_bytes())


def _aged(refusal: Any) -> Any:
    from dataclasses import replace

    return replace(refusal, at=refusal.at - 60)


def test_a_process_that_starts_with_a_corrupt_champion_serves_the_one_before(
    project: Project, champion: ModelVersion, candidate: ModelVersion
) -> None:
    _promote(project, candidate)
    engine.forget()
    _break(candidate)
    engine.follows = True
    engine.refresh()
    assert engine.serving(project_id=project.pk, slot="champion").version == champion


def test_without_any_bundle_that_loads_the_caller_is_told(project: Project, champion: ModelVersion) -> None:
    _break(champion)
    engine.forget()
    with pytest.raises(ModelUnusable) as refused:
        engine.serving(project_id=project.pk, slot="champion")
    assert (refused.value.status, refused.value.retry_after) == (503, 10)
    engine.follows = True
    with pytest.raises(ModelUnusable):
        engine.serving(project_id=project.pk, slot="champion")


def test_a_slot_without_a_version_is_unknown(web: Engine, project: Project) -> None:
    with pytest.raises(UnknownModel):
        web.serving(project_id=project.pk, slot="speed")


def test_a_bundle_with_numbers_that_are_none_is_refused(project: Project, tmp_path: Path) -> None:
    from ner.errors import BundleNotFinite

    with pytest.raises(BundleNotFinite):
        version_register(path=tiny_bundle(tmp_path / "nan", sureness=float(np.nan)), name="nan", actor=SYSTEM)
    assert not ModelVersion.objects.exists()


@pytest.mark.parametrize(
    "answer",
    [
        Recognition(spans=(Span(0, 99, "per", 0.5),), alternatives=((),)),
        Recognition(spans=(Span(-1, 2, "per", 0.5),), alternatives=((),)),
        Recognition(spans=(Span(2, 2, "per", 0.5),), alternatives=((),)),
        Recognition(spans=(Span(0, 2, "per", float("nan")),), alternatives=((),)),
        Recognition(spans=(Span(0, 2, "per", 1.5),), alternatives=((),)),
        Recognition(uncertainty=float("inf")),
    ],
)
def test_an_answer_that_cannot_be_right_is_withheld(
    web: Engine, project: Project, answer: Recognition, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving = web.serving(project_id=project.pk, slot="champion")
    monkeypatch.setattr(type(serving.recogniser), "predict_many", lambda self, texts: [answer for _ in texts])
    with pytest.raises(ModelUnsound):
        prediction_make(project=project, texts=["Ann"])


def test_few_recognisers_stay_in_memory(project: Project, champion: ModelVersion, tmp_path: Path) -> None:
    engine.follows = True
    engine.refresh()
    for number in range(8):
        path = tiny_bundle(tmp_path / f"v{number}", WORDS | {f"word{number}": "B-art"})
        engine.recogniser_for(version_register(path=path, name="many", project=project, actor=SYSTEM))
    assert len(engine._recognisers) == engine_module._SPARE + 1
    assert champion.sha256 in engine._recognisers


def test_the_blank_model_predicts_nothing(project: Project) -> None:
    label_set = label_set_current(project=project)
    blank = blank_version_get(project=project, label_set=label_set)
    assert blank == blank_version_get(project=project, label_set=label_set)
    deployment_set(project=project, slot="champion", version=blank, actor=SYSTEM, reason="start")
    document = document_make(project)
    assert document_predict(document=document).spans == []


def test_documents_are_predicted_by_the_champion_or_by_a_given_version(
    project: Project, champion: ModelVersion, candidate: ModelVersion
) -> None:
    documents: list[Document] = [document_make(project, f"Ann saw London {n} times.") for n in range(3)]
    made = documents_predict(documents=documents)
    assert [prediction.document for prediction in made] == documents
    assert {prediction.version for prediction in made} == {champion}
    assert [span["text"] for span in made[2].spans] == ["Ann", "London"]
    other = document_predict(document=documents[0], version=candidate)
    assert [span["label"] for span in other.spans] == ["per", "per"]


def test_who_waits_too_long_for_a_load_is_told_to_come_again(
    candidate: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "_LOAD_WAIT_SECONDS", 0.05)
    loading = engine._loading.setdefault(candidate.sha256, threading.Lock())
    with loading, pytest.raises(ModelLoading) as refused:
        engine.recogniser_for(candidate)
    assert (refused.value.status, refused.value.retry_after) == (503, 1)
    assert engine.recogniser_for(candidate).labels


def test_the_upkeep_survives_what_fails_and_follows_at_the_next_turn(
    champion: ModelVersion, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    upkeep = Upkeep()
    engine.follows = True

    def gone() -> None:
        raise OperationalError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(engine, "refresh", gone)
        broken.setattr(upkeep_module.connection, "close", lambda: None)
        broken.setattr(upkeep_module, "close_old_connections", lambda: None)
        upkeep.turn()
    monkeypatch.setattr(upkeep_module, "close_old_connections", lambda: None)
    upkeep.turn()
    assert engine.serving(project_id=project.pk, slot="champion").version == champion
