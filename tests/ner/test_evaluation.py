"""Scores against cases counted by hand; the expected numbers are those of seqeval's strict mode."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ner.errors import BadInput
from ner.evaluate import EvalReport, Scores, evaluate, format_report, main, map_labels
from ner.spans import Example, Span
from ner.tags import decode

HERE = Path(__file__).parents[2]
TEXT = "Ann Lee of Acme Corp flew to New York City on Monday"
ANN, ACME, CITY, DAY = (
    Span(0, 7, "per"),
    Span(11, 20, "org"),
    Span(29, 42, "geo"),
    Span(46, 52, "tim"),
)
GOLD = [Example(TEXT, (ANN, ACME, CITY, DAY), "d1")]


def from_tags(*sentences: str) -> list[list[Span]]:
    """Spans of IOB2 tags, every token one character and a space."""
    return [
        decode([(2 * i, 2 * i + 1) for i in range(len(tags))], tags)
        for tags in (sentence.split() for sentence in sentences)
    ]


def score(gold: list[str], predicted: list[str]) -> EvalReport:
    examples = [
        Example("x " * len(tags.split()), tuple(spans))
        for tags, spans in zip(gold, from_tags(*gold), strict=True)
    ]
    return evaluate(examples, from_tags(*predicted))


def test_the_example_of_seqevals_manual_gives_its_numbers() -> None:
    report = score(
        ["O O O B-MISC I-MISC I-MISC O", "B-PER I-PER O"],
        ["O O B-MISC I-MISC I-MISC I-MISC O", "B-PER I-PER O"],
    )
    assert report.labels["MISC"] == Scores(0, 1, 1)
    assert report.labels["PER"] == Scores(1, 0, 0)
    assert (report.micro.precision, report.micro.recall, report.micro.f1) == (0.5, 0.5, 0.5)
    assert report.macro_f1 == 0.5


def test_labels_that_were_only_predicted_count_in_the_macro_mean() -> None:
    report = score(["B-PER O B-ORG"], ["B-PER B-LOC B-ORG"])
    assert report.micro == Scores(2, 1, 0)
    assert math.isclose(report.micro.f1, 0.8)
    assert math.isclose(report.macro_f1, 2 / 3)
    assert report.labels["LOC"] == Scores(0, 1, 0)


def test_a_split_entity_has_no_part_right() -> None:
    report = score(["B-PER I-PER I-PER"], ["B-PER B-PER I-PER"])
    assert report.micro == Scores(0, 2, 1)


def test_each_mistake_is_of_one_kind() -> None:
    predicted = [Span(0, 3, "per"), Span(11, 20, "geo"), Span(21, 25, "art"), DAY]
    report = evaluate(GOLD, [predicted])
    assert report.errors == {"missed": 1, "spurious": 1, "boundary": 1, "type": 1}
    assert report.micro == Scores(1, 3, 3)
    shown = {example.kind: (example.gold, example.predicted) for example in report.examples}
    assert shown == {
        "missed": ("New York City [geo]", None),
        "spurious": (None, "flew [art]"),
        "boundary": ("Ann Lee [per]", "Ann [per]"),
        "type": ("Acme Corp [org]", "Acme Corp [geo]"),
    }


def test_a_blank_model_scores_zero_and_divides_nothing_by_zero() -> None:
    report = evaluate(GOLD, [()])
    assert (report.micro.precision, report.micro.recall, report.micro.f1) == (0.0, 0.0, 0.0)
    assert report.micro.support == 4
    assert report.calibration is None


@pytest.mark.parametrize("gold", [[], [Example("nothing here")]])
def test_a_set_without_entities_can_be_scored(gold: list[Example]) -> None:
    report = evaluate(gold, [()] * len(gold))
    assert (report.micro, report.macro_f1) == (Scores(), 0.0)
    assert format_report(report)


def test_a_span_given_twice_counts_once() -> None:
    assert evaluate(GOLD, [[ANN, Span(0, 7, "per", 0.9)]]).micro == Scores(1, 0, 3)


def test_counts_are_kept_for_each_document() -> None:
    gold = [*GOLD, Example("Ann", (Span(0, 3, "per"),)), Example("none")]
    report = evaluate(gold, [[ANN, ACME], [Span(0, 3, "org")], []])
    assert report.per_document == ((2, 0, 2), (0, 1, 1), (0, 0, 0))
    assert report.documents[1] == {"org": (0, 1, 0), "per": (0, 0, 1)}


def test_calibration_is_the_gap_between_confidence_and_truth() -> None:
    gold = [Example("abcd", tuple(Span(i, i + 1, "x") for i in range(3)))]
    predicted = [[Span(i, i + 1, "x", 0.95) for i in range(4)]]
    calibration = evaluate(gold, predicted).calibration
    assert calibration is not None
    assert math.isclose(calibration.ece, 0.95 - 0.75)
    assert (calibration.count, len(calibration.bins)) == (4, 1)


def test_a_confidence_of_one_is_in_the_last_bin() -> None:
    gold = [Example("ab", (Span(0, 1, "x"),))]
    calibration = evaluate(gold, [[Span(0, 1, "x", 1.0), Span(1, 2, "x", 0.95)]]).calibration
    assert calibration is not None
    assert [bin_.count for bin_ in calibration.bins] == [2]


def test_predictions_for_other_texts_are_refused() -> None:
    with pytest.raises(BadInput) as caught:
        evaluate(GOLD, [])
    assert caught.value.code == "wrong_count"


def test_the_report_survives_json() -> None:
    report = evaluate(GOLD, [[Span(0, 7, "per", 0.875), Span(21, 25, "art", 0.5)]])
    body = json.loads(json.dumps(report.to_json(examples=True)))
    assert EvalReport.from_json(body) == report


def test_texts_are_quoted_only_when_asked_for() -> None:
    assert "Acme" not in json.dumps(evaluate(GOLD, [()]).to_json())


SPANS = st.lists(
    st.builds(
        lambda s, n, label: Span(s, s + n, label), st.integers(0, 9), st.integers(1, 4), st.sampled_from("xy")
    ),
    unique=True,
    max_size=5,
)


@given(st.lists(st.tuples(SPANS, SPANS), max_size=4))
def test_counts_agree_with_plain_set_arithmetic(pairs: list[tuple[list[Span], list[Span]]]) -> None:
    report = evaluate([Example("x" * 20, tuple(gold)) for gold, _ in pairs], [got for _, got in pairs])
    tp = sum(len(set(gold) & set(got)) for gold, got in pairs)
    assert report.micro.tp == tp
    assert report.micro.tp + report.micro.fp == sum(len(got) for _, got in pairs)
    assert report.micro.support == sum(len(gold) for gold, _ in pairs)
    wrong = report.errors
    assert report.micro.fp == wrong["spurious"] + wrong["boundary"] + wrong["type"]
    assert report.micro.fn == wrong["missed"] + wrong["boundary"] + wrong["type"]


def test_labels_are_mapped_and_what_the_data_does_not_label_is_left_out() -> None:
    gold = [Example("Ann Oslo it", (Span(0, 3, "PER"), Span(4, 8, "LOC"), Span(9, 11, "MISC")))]
    predicted = [[Span(0, 3, "per"), Span(4, 8, "geo"), Span(9, 11, "tim")]]
    mapped, kept = map_labels(gold, predicted, {"PER": "per", "LOC": "geo", "MISC": None})
    assert evaluate(mapped, kept).micro == Scores(2, 0, 0)


def test_the_command_says_in_one_line_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text('{"text": "a"}\n', encoding="utf-8")
    assert main(["--bundle", str(tmp_path / "none"), "--data", str(data)]) == 1
    assert capsys.readouterr().err.startswith("ner.evaluate: ")


@pytest.mark.parametrize("split", [[], ["--split", "test"]])
def test_the_command_measures_a_bundle_on_a_file(split: list[str], capsys: pytest.CaptureFixture) -> None:
    command = [
        "--bundle",
        str(HERE / "models" / "baseline"),
        "--data",
        str(HERE / "corpora" / "general.jsonl"),
    ]
    assert main([*command, *split]) == 0
    table = capsys.readouterr().out
    assert "precision" in table
    assert main([*command, *split, "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["format"] == "jsonl"
    assert f"{body['micro']['f1']:.4f}" in table
    assert (body["document_count"] < 200) == bool(split)


def test_the_command_maps_the_labels_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    data, names = tmp_path / "data.conll", tmp_path / "names.json"
    data.write_text("Paris I-LOC\n\nit I-MISC\n", encoding="utf-8")
    names.write_text('{"LOC": "geo", "MISC": null}', encoding="utf-8")
    bundle = str(HERE / "models" / "baseline")
    assert main(["--bundle", bundle, "--data", str(data), "--labels", str(names), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"].keys() == {"geo"}


@pytest.mark.parametrize("names", ["[1]", '{"LOC": 5}', "{"])
def test_the_command_refuses_a_map_that_is_none(
    names: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "names.json"
    path.write_text(names, encoding="utf-8")
    bundle, data = str(HERE / "models" / "baseline"), str(HERE / "corpora" / "general.jsonl")
    assert main(["--bundle", bundle, "--data", data, "--labels", str(path)]) == 1
    assert capsys.readouterr().err.startswith("ner.evaluate: ")
