"""What was decided in English, kept as it was said, and said in the language of whoever reads it."""

from __future__ import annotations

import copy
import json

import pytest
from django.utils.translation import override

from corpus.said import SaidField, say, say_kept
from ner.criteria import rate
from ner.intervals import Share
from ner.said import Number, Said, heard, joined

NONE = Share(0, 0)
FAILED = rate("error_rate", 0.01, [(Share(25, 1000), NONE), (Share(25, 1000), NONE)])
KEPT = SaidField()


def test_a_sentence_is_its_english_words() -> None:
    assert FAILED.words == "2.5 % of the answers failed (25 of 1,000; surely above 1 %)"
    assert FAILED.to_json()["words"] == str(FAILED.words)


def test_it_is_said_in_another_language_with_its_commas() -> None:
    kept = json.loads(json.dumps(FAILED.to_json()))
    with override("de"):
        said = say_kept(kept, "words")
        assert said == "2,5 % der Antworten blieben aus (25 von 1.000; sicher mehr als 1 %)"
        assert say(joined([FAILED.words, Said("approved")])).endswith("; zugestimmt")
    assert say_kept(kept, "words") == FAILED.words


def test_an_old_row_without_a_sentence_says_its_words() -> None:
    with override("de"):
        assert say_kept({"words": "2.5 % of the answers failed"}, "words") == "2.5 % of the answers failed"


def test_a_name_in_a_sentence_keeps_its_points() -> None:
    sentence = Said("{version} is better: {found}", version="v1.5@2", found=Number(0.5, ".1f"))  # type: ignore[arg-type]
    with override("de"):
        assert say(sentence) == "v1.5@2 ist besser: 0,5"


@pytest.mark.parametrize(
    "text", ["a caller complained", "", '{"said": "{a}", "facts": {}}', "50 % {of} them"]
)
def test_what_a_person_wrote_is_kept_and_said_as_it_is(text: str) -> None:
    assert KEPT.get_prep_value(text) == text
    assert say(KEPT.from_db_value(text) or "") == text


def test_nobody_can_write_a_sentence_by_hand() -> None:
    forged = KEPT.get_prep_value(Said("{a} is better", a="b"))
    assert KEPT.from_db_value(forged) == "b is better"
    assert KEPT.from_db_value(KEPT.get_prep_value(str(forged))) == forged[1:]


def test_a_sentence_comes_back_whole() -> None:
    for back in (
        KEPT.from_db_value(KEPT.get_prep_value(FAILED.words)),
        heard(FAILED.words.to_json()),
        copy.deepcopy(FAILED.words),
        copy.copy(FAILED.words),
        FAILED.words.strip(),
    ):
        assert isinstance(back, Said)
        assert (back, back.to_json()) == (FAILED.words, FAILED.words.to_json())
