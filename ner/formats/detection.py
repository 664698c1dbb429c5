"""The format of a file by its content, never by its name."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from ner.formats import conll, csv_text, gmb_csv
from ner.formats.source import EmptyFile, Fields, NullCharacter, Source, UnknownFormat, numbered_lines, opened

_READ = "text, JSON, CSV, token columns, spaCy's DocBin and ZIP files of brat"
_SAMPLE_BYTES = 65_536
_MAGIC = {
    b"PK\x03\x04": "a ZIP archive (or an office document)",
    b"\x1f\x8b": "a gzip archive",
    b"\x89PNG": "an image",
    b"MZ": "a program",
    b"\x7fELF": "a program",
    b"%PDF": "a PDF",
}


def detect(source: Source, fields: Fields = MappingProxyType({})) -> str:
    """The name of the format; a stream is rewound. A table is known by its text column, chosen or usual."""
    if isinstance(source, Path) and source.is_dir():
        return "brat"
    with opened(source) as stream:
        sample = stream.read(_SAMPLE_BYTES)
        packed = sample.startswith(b"PK\x03\x04") and _is_brat(stream)
        if not isinstance(source, Path):
            stream.seek(0)
    if packed:
        return "brat"
    if _is_docbin(sample):
        return "spacy"
    for magic, kind in _MAGIC.items():
        if sample.startswith(magic):
            raise UnknownFormat(line=1, problem=f"The file is {kind}; nerapp reads {_READ}")
    lines = _whole_lines(sample)
    if not lines:
        raise EmptyFile(line=1)
    first = lines[0]
    if gmb_csv.is_header(first):
        return "gmb_csv"
    if _looks_tagged(lines):
        return "conll"
    if first.lstrip().startswith(("{", "[")):
        return _json_dialect("\n".join(lines))
    if delimiter := csv_text.delimiter_of(first.encode("latin-1").decode(errors="replace"), fields):
        return "tsv" if delimiter == "\t" else "csv"
    return "text"


def _is_brat(stream: BinaryIO) -> bool:
    """Whether an archive holds annotations; other tools' exports and office documents are archives too."""
    try:
        with zipfile.ZipFile(stream) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        return False
    return any(name.endswith(".ann") for name in names) or all(name.endswith((".txt", "/")) for name in names)


def _is_docbin(sample: bytes) -> bool:
    if not sample.startswith(b"x"):
        return False
    try:
        start = zlib.decompressobj().decompress(sample, 64)
    except zlib.error:
        return False
    return start[:1] >= b"\x80" and (b"version" in start or b"attrs" in start)


def _whole_lines(sample: bytes) -> list[str]:
    if len(sample) == _SAMPLE_BYTES and b"\n" in sample:
        sample = sample[: sample.rindex(b"\n")]
    try:
        # Latin-1 decodes any byte; readers judge the encoding, detection looks at ASCII signs only.
        decoded = [line for _, line in numbered_lines(io.BytesIO(sample), encoding="latin-1")]
    except NullCharacter as error:
        raise UnknownFormat(
            line=1, problem=f"The file is binary or not UTF-8; nerapp reads {_READ}"
        ) from error
    return [line for line in decoded if line.strip(" \t\r\n")]


def _looks_tagged(lines: list[str]) -> bool:
    """Whether nearly every line ends in a tag; some lines of a real file may be damaged."""
    rows = [columns for line in lines if (columns := conll.split_columns(line))]
    tagged = sum(len(columns) > 1 and conll.is_tag(columns[-1]) for columns in rows)
    return bool(rows) and tagged >= 0.9 * len(rows)


_SIGN = re.compile(r'"((?:[^"\\]|\\.)*)"(\s*:)?|[][{}]')


def _json_dialect(sample: str) -> str:
    """Whose JSON it is, by the keys of the first record; the sample may end inside it."""
    keys, pair = _keys(sample)
    if pair:
        return "spacy_json"
    if "data" in keys and keys & {"annotations", "completions", "predictions", "data.text"}:
        return "label_studio"
    if keys & {"annotation_id", "lead_time"} or any(
        key.endswith(".labels") and key.replace(".labels", ".start") in keys for key in keys
    ):
        return "label_studio_min"
    if keys == {"names"} or keys & {"ner_tags", "features.ner_tags", "features.tags"}:
        return "hf"
    if keys & {"answer", "_input_hash", "_task_hash", "_view_id"}:
        return "prodigy"
    if keys & {"Comments", "label", "labels", "label.start_offset", "entities.start_offset"}:
        return "doccano"
    return "jsonl"


def _keys(sample: str) -> tuple[set[str], bool]:
    """Keys of the first object, those one level below as `outer.inner`; and whether it is a pair."""
    keys: set[str] = set()
    path: list[str] = []
    name = ""
    for match in _SIGN.finditer(sample):
        sign = match[0]
        objects = [step for step in path if step != "["]
        if sign in "{[":
            path.append(f"{{{name}" if sign == "{" else "[")
        elif sign in "}]":
            if path:
                path.pop()
            if not objects[1:] and sign == "}":
                break
        elif match[2]:
            name = match[1]
            if len(objects) == 1:
                keys.add(name)
                outer = name
            elif len(objects) == 2:
                keys.add(f"{outer}.{name}")
        elif not objects and path:
            return keys, True
    return keys, False
