"""Two versions beside each other: who is better, which errors only one makes, and where they disagree."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from audit.services import SYSTEM
from corpus.models import Project
from corpus.services import LabelDraft, project_create
from feedback.services import correction_submit, gold_mark
from inference.engine import engine
from inference.models import Evaluation, ModelVersion
from inference.services import version_register
from ner.evaluate import EvalReport, evaluate
from ner.spans import Example, Span
from nerapp.comparison_page import Comparison, compare, exam_shared, pair_chosen
from retraining.models import TrainingRun
from retraining.services import training_set_examples
from retraining.services.exams import exam_in_general, exam_sit
from tests.backoffice.conftest import staff
from tests.bundles import tiny_bundle
from tests.factories import document_make

pytestmark = pytest.mark.django_db

#: The candidate knows one word more than the champion: Bramley, which it takes for a place.
BOTH_RIGHT = ("Ada Lovelace moved to London.", [(0, 12, "per"), (22, 28, "geo")])
FIRST_RIGHT = ("Grace Hopper ate a Bramley.", [(0, 12, "per")])
SECOND_RIGHT = ("Ann went to Bramley.", [(0, 3, "per"), (12, 19, "geo")])
NEITHER_RIGHT = ("Bramley met Newton.", [(0, 7, "per"), (12, 18, "per")])
TEXTS = (BOTH_RIGHT, FIRST_RIGHT, SECOND_RIGHT, NEITHER_RIGHT)


@pytest.fixture
def texts(settings: LazySettings, tmp_path: Path) -> Any:
    """Write the general set."""
    settings.CORPORA_DIR = tmp_path

    def written(*texts: tuple[str, list[tuple[int, int, str]]]) -> None:
        names = ("start", "end", "label")
        lines = [
            json.dumps({"text": text, "spans": [dict(zip(names, span, strict=True)) for span in spans]})
            for text, spans in texts
        ]
        (tmp_path / "general.jsonl").write_text("\n".join(lines) + "\n", "utf-8")

    written(*TEXTS)
    return written


@pytest.fixture
def compared(champion: ModelVersion, candidate: ModelVersion, texts: Any) -> Comparison:
    """The champion beside the candidate on the four texts."""
    return compare((champion, candidate), exam_in_general())


def page(client: Client, slug: str, status: int = 200, **asked: Any) -> str:
    answer = client.get(reverse("admin:inference_modelversion_comparison", args=[slug]), asked)
    assert answer.status_code == status
    return " ".join(answer.content.decode().split())


def test_the_champion_stands_beside_the_newest_candidate(
    champion: ModelVersion, candidate: ModelVersion, project: Project
) -> None:
    assert pair_chosen(project, None, None) == (champion, candidate)
    assert pair_chosen(project, candidate.pk, champion.pk) == (candidate, champion)
    assert pair_chosen(project, None, champion.pk) == (candidate, champion)
    assert pair_chosen(project, champion.pk, champion.pk) is None
    assert pair_chosen(project, 10**9, candidate.pk) == (champion, candidate)


def test_it_tells_which_errors_only_one_of_them_makes(compared: Comparison) -> None:
    kinds = {row.kind: (row.first, row.second, row.both) for row in compared.kinds}
    assert kinds == {"missed": (2, 0, 1), "spurious": (0, 1, 0), "boundary": (0, 0, 0), "type": (0, 1, 0)}


def test_it_tells_who_is_right_where_they_disagree(compared: Comparison) -> None:
    assert {one.text: one.right for one in compared.disagreements} == {
        FIRST_RIGHT[0]: "first",
        SECOND_RIGHT[0]: "second",
        NEITHER_RIGHT[0]: "neither",
    }
    assert [(name, count) for _right, name, count in compared.rights] == [
        ("orchard@1", 1),
        ("orchard@2", 1),
        ("neither is entirely right", 1),
    ]
    assert compared.labels == ["geo"]


def test_each_label_has_its_support_and_a_difference_with_its_interval(compared: Comparison) -> None:
    rows = {row.name: row for row in compared.rows}
    assert {name: row.support for name, row in rows.items()} == {"all labels": 7, "per": 5, "geo": 2}
    geo = rows["geo"]
    # One of two found, no error; two found of two, two too many.
    assert (geo.first.value, geo.second.value) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert geo.difference.low <= geo.difference.value <= geo.difference.high
    assert not geo.is_clear
    assert "may be chance" in compared.sentence


def test_what_is_taken_for_what_is_told_where_they_differ(compared: Comparison) -> None:
    told = [(row.true, row.said, row.first, row.second) for row in compared.confusion]
    assert told == [
        ("geo", "geo", 1, 2),
        ("geo", "nothing", 1, 0),
        ("nothing", "geo", 0, 1),
        ("per", "geo", 0, 1),
        ("per", "nothing", 2, 1),
    ]


def test_a_clear_difference_is_said_in_words(
    champion: ModelVersion, candidate: ModelVersion, texts: Any
) -> None:
    texts(*[(f"Ann went to Bramley {number}.", SECOND_RIGHT[1]) for number in range(40)])
    found = compare((champion, candidate), exam_in_general())
    assert found.sentence.startswith("orchard@2 is better than orchard@1 by 33.3 points of F1")
    assert found.rows[0].is_clear
    turned = compare((candidate, champion), exam_in_general())
    assert turned.sentence.startswith("orchard@2 is better than orchard@1 by 33.3 points of F1")


def test_the_certificates_count_where_both_sat_the_exam(
    champion: ModelVersion, candidate: ModelVersion, texts: Any
) -> None:
    exam = exam_in_general()
    exam_sit(exam=exam, version=champion)
    assert not compare((champion, candidate), exam).is_examined
    exam_sit(exam=exam, version=candidate)
    found = compare((champion, candidate), exam)
    assert found.is_examined
    stored = Evaluation.objects.get(version=candidate, set_fingerprint=exam.fingerprint)
    assert found.second.report.documents == EvalReport.from_json(stored.report).documents


def test_certificates_of_other_texts_are_left_alone(
    champion: ModelVersion, candidate: ModelVersion, texts: Any
) -> None:
    exam = exam_in_general()
    exam_sit(exam=exam, version=champion)
    shorter = evaluate([Example("Ada.", (Span(0, 3, "per"),))], [[]])
    Evaluation.objects.create(
        version=candidate,
        kind="general",
        set_fingerprint=exam.fingerprint,
        documents=1,
        precision=0,
        recall=0,
        f1=0,
        report=shorter.to_json(),
    )
    assert not compare((champion, candidate), exam).is_examined


def test_turning_a_page_reads_nothing_again(
    compared: Comparison, champion: ModelVersion, candidate: ModelVersion, texts: Any
) -> None:
    engine.forget()
    again = compare((champion, candidate), exam_in_general())
    assert again.disagreements == compared.disagreements
    assert champion.sha256 not in engine._recognisers
    texts(*TEXTS[:2])
    compare((champion, candidate), exam_in_general())
    assert champion.sha256 in engine._recognisers


def test_a_long_text_is_shown_around_what_is_in_dispute(
    champion: ModelVersion, candidate: ModelVersion, texts: Any
) -> None:
    before = "so it goes " * 200
    start = len(f"Ada. {before}")
    texts((f"Ada. {before}Bramley. {before}", [(0, 3, "per"), (start, start + 7, "geo")]))
    (one,) = compare((champion, candidate), exam_in_general()).disagreements
    assert one.is_cut
    assert len(one.text) < 300
    (span,) = one.second
    assert one.text[span["start"] : span["end"]] == "Bramley"
    assert (one.truth, one.first) == ([span], [])


def test_the_page_shows_the_texts_and_filters_them(
    office: Client, candidate: ModelVersion, project: Project, texts: Any
) -> None:
    whole = page(office, project.slug, set="general")
    assert "may be chance" in whole
    assert "3 of 4 texts" in whole
    assert 'ate a <mark class="' in whole
    # White space around a text would be shown as its own.
    assert whole.count('<p class="marked-text" dir="auto"><mark') + whole.count('"auto">Bramley met') == 9
    mine = page(office, project.slug, set="general", right="first")
    assert "Grace Hopper" in mine
    assert "Newton" not in mine
    assert "None of the disagreements is like this" in page(office, project.slug, set="general", label="per")
    assert "Newton" in page(office, project.slug, set="general", right="?", page="x")


def test_a_text_is_shown_and_never_carried_out(
    office: Client, candidate: ModelVersion, project: Project, texts: Any
) -> None:
    start = len("Ann took <b>all</b> to ")
    texts(("Ann took <b>all</b> to Bramley.", [(start, start + 7, "geo")]))
    shown = page(office, project.slug, set="general")
    assert "&lt;b&gt;all&lt;/b&gt;" in shown
    assert "<b>all" not in shown


def test_the_page_is_cut_into_pages(
    office: Client, candidate: ModelVersion, project: Project, texts: Any
) -> None:
    texts(*[(f"Ann went to Bramley {number}.", SECOND_RIGHT[1]) for number in range(23)])
    last = page(office, project.slug, set="general", page=3)
    assert last.count('class="disagreement"') == 3
    assert "page 3 of 3" in last
    assert "page=2#disagreements" in last


def test_without_texts_or_another_version_it_says_so(
    office: Client, champion: ModelVersion, project: Project
) -> None:
    assert "No two versions to compare" in page(office, project.slug)


def test_a_project_without_random_checks_has_no_test_set(
    office: Client, run: TrainingRun, project: Project, champion: ModelVersion
) -> None:
    counts = run.training_set.counts
    shown = page(office, project.slug)
    assert ("No texts to compare them on" in shown) == (not counts["test"])
    assert exam_shared(project, "golden", (champion, champion)) is not None


def test_no_more_texts_are_fetched_than_are_read(
    run: TrainingRun,
) -> None:
    training_set = run.training_set
    split = training_set.items.values_list("split", flat=True).get()
    assert len(training_set_examples(training_set=training_set, split=split)) == 1
    assert training_set_examples(training_set=training_set, split=split, most=0) == []


def test_a_bundle_that_cannot_be_read_is_told(
    office: Client, candidate: ModelVersion, project: Project, texts: Any, settings: LazySettings
) -> None:
    engine.forget()
    settings.DATA_DIR = settings.DATA_DIR / "elsewhere"
    assert "One of the two cannot be read" in page(office, project.slug, set="general")


def test_the_projects_texts_are_for_those_who_may_read_corrections(
    sign_in: Callable[[User], Client], mia: User, ana: User, candidate: ModelVersion, project: Project
) -> None:
    correction = correction_submit(
        document=document_make(project, SECOND_RIGHT[0]),
        spans=[],
        base_number=0,
        author=ana,
        prediction=None,
        stratum="random",
        milliseconds=10,
        idempotency_key="ana-2",
    )
    gold_mark(correction=correction, user=mia)
    for may_read, rights in ((False, ()), (True, ("view_correction",))):
        client = sign_in(staff(mia, "view_modelversion", *rights))
        errors = client.get(
            reverse("admin:inference_modelversion_errors", args=[candidate.pk]), {"set": "golden"}
        )
        for shown in (page(client, project.slug, set="golden"), errors.content.decode()):
            assert ("went to" in shown) == may_read
            assert ("for those who may read corrections" in shown) != may_read


def test_other_projects_and_their_versions_are_not_there(
    owner: Client, mia: User, candidate: ModelVersion, project: Project, texts: Any, tmp_path: Path
) -> None:
    secret = project_create(slug="secret", name="Secret", labels=[LabelDraft(name="per")], actor=SYSTEM)
    hidden = version_register(
        path=tiny_bundle(tmp_path / "hidden"), name="hidden", project=secret, actor=SYSTEM
    )
    page(owner, "secret", status=404)
    assert "hidden@1" not in page(owner, project.slug, set="general", second=hidden.pk)
