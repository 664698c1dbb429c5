"""The readers on real corpora, where they are at hand: the counts their makers published."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from ner.formats import ReadReport, detect, gmb_csv, read_examples
from ner.formats.source import Reading
from ner.spans import Example, validate_spans

DATA = Path(__file__).parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the corpora are not at hand")

CORPORA = [
    ("wnut17/wnut17train.conll", "conll", 3_394, 1_975),
    ("wnut17/emerging.dev.conll", "conll", 1_009, 836),
    ("broad_twitter/btc.train", "conll", 6_338, 8_779),
    # One of its 1,001 sentences is a single empty token.
    ("broad_twitter/btc.dev", "conll", 1_000, 1_730),
    ("sec_filings/FIN5.txt", "conll", 1_164, 1_168),
    ("bc5cdr/train.tsv", "conll", 4_560, 9_385),
    ("bc5cdr/devel.tsv", "conll", 4_581, 9_593),
    ("pii_synthetic/synth_dataset_v2.json", "jsonl", 1_500, 2_863),
    ("exports/prodigy/fashion_brands_eval.jsonl", "prodigy", 500, 238),
    ("exports/brat", "brat", 3, 34),
    ("exports/spacy_json/street_ninja_training_data.json", "spacy_json", 102, 205),
]


@pytest.mark.parametrize(("name", "format", "texts", "entities"), CORPORA)
def test_it_reads_a_corpus_whole(name: str, format: str, texts: int, entities: int) -> None:
    report = ReadReport()
    examples = list(read_examples(DATA / name, report=report))
    assert detect(DATA / name) == format
    assert (len(examples), sum(len(example.spans) for example in examples)) == (texts, entities)
    assert (report.examples, report.spans, report.repaired) == (texts, entities, 0)
    for example in examples:
        validate_spans(example.text, example.spans)


@pytest.fixture(scope="module")
def gmb() -> list[Example]:
    records = gmb_csv.read(DATA / "gmb" / "ner_dataset.csv", Reading(), deduplicate=False)
    return [record.example() for record in records]


def test_gmb_has_the_published_sentences_and_entities(gmb: list[Example]) -> None:
    assert len(gmb) == 47_959
    assert sum(example.text.count(" ") + 1 for example in gmb) == 1_048_575
    assert Counter(span.label for example in gmb for span in example.spans) == {
        "geo": 37_644,
        "tim": 20_333,
        "org": 20_143,
        "per": 16_990,
        "gpe": 15_870,
        "art": 402,
        "eve": 308,
        "nat": 201,
    }


def test_gmb_keeps_the_words_that_other_readers_lose(gmb: list[Example]) -> None:
    words = Counter(word for example in gmb for word in example.text.split(" "))
    assert words["None"] == 10
    assert words['"'] == 3_686
    assert words["\u2026"] == 4
    assert words[""] == 0


def test_gmb_duplicates_are_left_out() -> None:
    report = ReadReport()
    texts = [example.text for example in read_examples(DATA / "gmb" / "ner_dataset.csv", report=report)]
    assert report.duplicates == 384
    assert len(texts) == len(set(texts)) == 47_959 - 384
