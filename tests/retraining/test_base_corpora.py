"""A labelled corpus to rehearse: kept by its hash, renamed as asked, refused when it was changed."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from audit.models import AuditEvent
from audit.services import SYSTEM
from corpus.models import Project
from ner.spans import Example, Span
from retraining.errors import BaseCorpusRefused
from retraining.models import BaseCorpus
from retraining.selectors import base_corpus_current
from retraining.services import base_corpus_examples, base_corpus_import, training_set_freeze
from tests.retraining.conftest import Correct

pytestmark = pytest.mark.django_db
ADA = Example("Ada met Grace.", (Span(0, 3, "PER"), Span(8, 13, "PER")), id="1")
DATED = Example("On Monday.", (Span(3, 9, "DATE"),), id="2")


@pytest.fixture(autouse=True)
def data_dir(settings: LazySettings, tmp_path: Path) -> Path:
    """A data folder of its own."""
    settings.DATA_DIR = tmp_path / "data"
    return tmp_path / "data"


def imported(project: Project) -> BaseCorpus:
    """Two examples, one label renamed and one left out."""
    return base_corpus_import(
        project=project, name="two", examples=[ADA, DATED], labels={"PER": "per", "DATE": None}, actor=SYSTEM
    )


def test_labels_are_renamed_or_left_out(project: Project) -> None:
    corpus = imported(project)
    first, second = base_corpus_examples(corpus)
    assert [span.label for span in first.spans] == ["per", "per"]
    assert second.spans == ()
    assert (corpus.examples, corpus.labels) == (2, ["per"])


def test_the_same_file_again_is_the_same_corpus(project: Project) -> None:
    assert imported(project) == imported(project)
    assert AuditEvent.objects.filter(action="base_corpus.import").count() == 1


def test_it_belongs_to_what_is_frozen(project: Project, correct: Correct) -> None:
    correct(3)
    without = training_set_freeze(project=project)
    corpus = imported(project)
    frozen = training_set_freeze(project=project)
    assert frozen.base_corpus == corpus
    assert frozen.fingerprint != without.fingerprint
    assert frozen.test_fingerprint == without.test_fingerprint


def test_a_changed_file_is_not_learned_from(project: Project, data_dir: Path) -> None:
    corpus = imported(project)
    path = data_dir / "base_corpora" / f"{corpus.sha256}.jsonl"
    path.write_bytes(path.read_bytes().replace(b"Grace", b"Gracy"))
    with pytest.raises(BaseCorpusRefused, match="changed"):
        base_corpus_examples(corpus)
    path.unlink()
    with pytest.raises(BaseCorpusRefused, match="missing"):
        base_corpus_examples(corpus)


def test_a_corpus_without_entities_is_refused_and_leaves_nothing(project: Project, data_dir: Path) -> None:
    with pytest.raises(BaseCorpusRefused, match="no labelled entity"):
        base_corpus_import(
            project=project, name="empty", examples=[Example("Nobody.")], labels={}, actor=SYSTEM
        )
    assert list((data_dir / "base_corpora").iterdir()) == []
    assert base_corpus_current(project=project) is None


def test_the_command_reads_any_known_format(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "tagged.conll"
    path.write_text("Ada B-PER\nsleeps O\n\n")
    labels = tmp_path / "labels.json"
    labels.write_text('{"PER": "per"}')
    out = StringIO()
    call_command("import_base_corpus", str(path), project=project.slug, labels=labels, stdout=out)
    assert "labels: per" in out.getvalue()


def test_the_command_names_the_line_that_it_cannot_read(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text('{"text": "Ada", "spans": []}\n{"text": 7}\n')
    with pytest.raises(CommandError, match="Line 2"):
        call_command("import_base_corpus", str(path), project=project.slug)
