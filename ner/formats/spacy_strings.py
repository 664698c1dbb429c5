"""spaCy's string store: a word is a 64-bit hash of its UTF-8, unless it is one of spaCy's own names."""

from __future__ import annotations

import struct
from collections.abc import Iterable

_MASK = 2**64 - 1
_MULTIPLIER = 0xC6A4A7935BD1E995


def murmur64(data: bytes, seed: int = 1) -> int:
    """MurmurHash64A."""
    value = seed ^ (len(data) * _MULTIPLIER & _MASK)
    whole = len(data) & ~7
    for (block,) in struct.iter_unpack("<Q", data[:whole]):
        block = block * _MULTIPLIER & _MASK
        block = (block ^ block >> 47) * _MULTIPLIER & _MASK
        value = (value ^ block) * _MULTIPLIER & _MASK
    if whole < len(data):
        value = (value ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    value = (value ^ value >> 47) * _MULTIPLIER & _MASK
    return value ^ value >> 47


_ATTRIBUTES = """
IS_ALPHA IS_ASCII IS_DIGIT IS_LOWER IS_PUNCT IS_SPACE IS_TITLE IS_UPPER LIKE_URL LIKE_NUM LIKE_EMAIL
IS_STOP IS_OOV_DEPRECATED IS_BRACKET IS_QUOTE IS_LEFT_PUNCT IS_RIGHT_PUNCT IS_CURRENCY
"""
_COLUMNS = """
ID ORTH LOWER NORM SHAPE PREFIX SUFFIX LENGTH CLUSTER LEMMA POS TAG DEP ENT_IOB ENT_TYPE HEAD SENT_START
SPACY PROB LANG ADJ ADP ADV AUX CONJ CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X EOL
SPACE
"""
_LABELS = """
PERSON NORP FACILITY ORG GPE LOC PRODUCT EVENT WORK_OF_ART LANGUAGE LAW DATE TIME PERCENT MONEY QUANTITY
ORDINAL CARDINAL acomp advcl advmod agent amod appos attr aux auxpass cc ccomp complm conj cop csubj
csubjpass dep det dobj expl hmod hyph infmod intj iobj mark meta neg nmod nn npadvmod nsubj nsubjpass num
number oprd obj obl parataxis partmod pcomp pobj poss possessive preconj prep prt punct quantmod relcl
rcmod root xcomp acl ENT_KB_ID MORPH ENT_ID IDX _
"""
#: Names with numbers of their own, from 0: attributes, parts of speech, OntoNotes' labels, dependencies.
_NAMES = (
    "",
    *_ATTRIBUTES.split(),
    *(f"FLAG{number}" for number in range(19, 64)),
    *_COLUMNS.split(),
    *(f"DEPRECATED{number:03}" for number in range(1, 277)),
    *_LABELS.split(),
)
NUMBERS = {name: number for number, name in enumerate(_NAMES)}


def hash_of(word: str) -> int:
    """The number that stands for a string."""
    number = NUMBERS.get(word)
    return murmur64(word.encode()) if number is None else number


class Strings:
    """The strings of a file by their numbers."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = {hash_of(word): word for word in words}

    def __getitem__(self, number: int) -> str:
        if number < len(_NAMES):
            return _NAMES[number]
        return self._words[number]
