"""A recognition in the forms that callers ask for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ner.runtime import Recognition, TokenPrediction
from ner.spans import Span, Utf16Index
from ner.tags import OUTSIDE

Probability = Annotated[float, Meta(ge=0, le=1)]
OutputFormat = Literal["json", "iob", "entities_only", "spacy", "displacy"]
OffsetUnit = Literal["codepoint", "utf16"]
Language = Annotated[
    str,
    Meta(
        pattern="^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2})?$",
        max_length=16,
        description="The language of the text (`en`, `pt-BR`). It is recorded, and a model of another one "
        "says so in `warnings`; it is never guessed.",
        examples=["en"],
    ),
]
Place = Callable[[int], int]


class Word(Struct, kw_only=True):
    """One word with its IOB2 tag."""

    word: str
    tag: str
    start: int
    end: int
    confidence: Probability | UnsetType | None = UNSET


class Entity(Struct, kw_only=True):
    """One entity: `text` stands at `start` to `end` (exclusive) of the text as sent."""

    text: str
    type: str
    start: int
    end: int
    confidence: Probability | UnsetType = UNSET


class SpacyEntity(Struct, kw_only=True):
    """An entity in spaCy's JSON."""

    start: int
    end: int
    label: str


class SpacyToken(Struct, kw_only=True):
    """A token in spaCy's JSON."""

    id: int
    start: int
    end: int


class SpacyDoc(Struct, kw_only=True):
    """What `spacy.tokens.Doc.from_json` reads."""

    text: str
    ents: list[SpacyEntity]
    tokens: list[SpacyToken]


class DisplacyDoc(Struct, kw_only=True):
    """What `displacy.render(..., style="ent", manual=True)` reads."""

    text: str
    ents: list[SpacyEntity]
    title: str | None = None


class Found(Struct, kw_only=True):
    """What was found in one text, in the form asked for."""

    predictions: list[Word] | UnsetType = UNSET
    entities: list[Entity] | UnsetType = UNSET
    iob: Annotated[str, Meta(description="One `word tag` a line.")] | UnsetType = UNSET
    spacy: SpacyDoc | UnsetType = UNSET
    displacy: DisplacyDoc | UnsetType = UNSET
    masked_text: Annotated[str, Meta(description="With `mask_pii`.")] | UnsetType = UNSET


def found_in(
    text: str,
    recognition: Recognition,
    *,
    output_format: OutputFormat,
    unit: OffsetUnit,
    confidence: bool,
) -> dict[str, object]:
    """The fields of `Found` that a format fills."""
    place: Place = Utf16Index(text).to_utf16 if unit == "utf16" else int
    tokens, spans = recognition.tokens, recognition.spans
    if output_format == "spacy":
        return {"spacy": SpacyDoc(text=text, ents=_ents(spans, place), tokens=_spacy_tokens(tokens, place))}
    if output_format == "displacy":
        return {"displacy": DisplacyDoc(text=text, ents=_ents(spans, place))}
    if output_format == "iob":
        tags = _tags(recognition)
        return {"iob": "".join(f"{token.word} {tag}\n" for token, tag in zip(tokens, tags, strict=True))}
    entities = [
        Entity(
            text=text[span.start : span.end],
            type=span.label,
            start=place(span.start),
            end=place(span.end),
            confidence=round(span.confidence, 4) if confidence and span.confidence is not None else UNSET,
        )
        for span in spans
    ]
    if output_format == "entities_only":
        return {"entities": entities}
    return {"predictions": _words(recognition, place, confidence=confidence), "entities": entities}


def _words(recognition: Recognition, place: Place, *, confidence: bool) -> list[Word]:
    words = []
    for token, tag in zip(recognition.tokens, _tags(recognition), strict=True):
        sure: object = UNSET
        if confidence:
            # Of the tag that is shown: an entity held back for being too unsure says nothing about `O`.
            sure = round(token.confidence, 4) if tag == token.tag else None
        words.append(
            Word(
                word=token.word,
                tag=tag,
                start=place(token.start),
                end=place(token.end),
                confidence=sure,  # type: ignore[arg-type]
            )
        )
    return words


def _tags(recognition: Recognition) -> list[str]:
    """The tag of each word; those of entities that were held back are outside."""
    spans = iter(recognition.spans)
    span = next(spans, None)
    tags = []
    for token in recognition.tokens:
        while span is not None and span.end <= token.start:
            span = next(spans, None)
        inside = span is not None and span.start <= token.start
        tags.append(token.tag if inside else OUTSIDE)
    return tags


def _ents(spans: tuple[Span, ...], place: Place) -> list[SpacyEntity]:
    return [SpacyEntity(start=place(span.start), end=place(span.end), label=span.label) for span in spans]


def _spacy_tokens(tokens: tuple[TokenPrediction, ...], place: Place) -> list[SpacyToken]:
    return [
        SpacyToken(id=index, start=place(token.start), end=place(token.end))
        for index, token in enumerate(tokens)
    ]
