"""The catalogs hold every word, every word is translated, and what is served is what they hold."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from babel.messages.mofile import read_mo
from django.conf import settings

from nerapp import catalogs

LANGUAGES = catalogs.languages()
DOMAINS = ("django", "djangojs")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_translated_and_keeps_its_places(language: str) -> None:
    assert list(catalogs.problems(language)) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_served_is_what_the_catalogs_hold(language: str) -> None:
    served = catalogs.source(language, "django").with_suffix(".mo").read_bytes()
    assert _words(served) == _words(catalogs.compiled_pages(language)), "run `make messages`"
    assert catalogs.script(language).read_text("utf-8") == catalogs.compiled_scripts(language)


def _words(compiled: bytes) -> dict[str, str]:
    """Without the head, which names the version of Babel."""
    return {str(m.id): str(m.string) for m in read_mo(io.BytesIO(compiled)) if m.id}


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="no GNU gettext: nothing can be gathered")
def test_no_text_of_the_sources_is_missing_from_the_catalogs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    packages = [path.parent for path in settings.BASE_DIR.glob("*/__init__.py")]
    for folder in [*packages, *(settings.BASE_DIR / name for name in ("templates", "static", "locale"))]:
        shutil.copytree(folder, tmp_path / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.chdir(tmp_path)
    settings.LOCALE_PATHS = [tmp_path / "locale"]
    catalogs.gather()
    for language in LANGUAGES:
        for domain in DOMAINS:
            gathered = _texts(catalogs.source(language, domain, root=tmp_path))
            assert gathered == _texts(catalogs.source(language, domain)), "run `make messages`"


def _texts(path: Path) -> set[str]:
    return {str(message.id) for message in catalogs.read(path) if message.id}


def test_a_lost_place_or_a_missing_form_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for domain in DOMAINS:
        (tmp_path / f"{domain}.po").write_text(
            'msgid ""\nmsgstr ""\n"Language: de\\n"\n"Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n\n'
            'msgid "{name} has it"\nmsgstr "jemand hat es"\n\n'
            'msgid "one"\nmsgid_plural "{count}"\nmsgstr[0] "eins"\nmsgstr[1] ""\n\n'
            '#, fuzzy\nmsgid "Save"\nmsgstr "Retten"\n\n'
            'msgid "1 text"\nmsgid_plural "{count} texts"\nmsgstr[0] "ein Text"\nmsgstr[1] "{count} Texte"\n'
        )
    monkeypatch.setattr(catalogs, "source", lambda language, domain: tmp_path / f"{domain}.po")
    found = list(catalogs.problems("de"))
    assert [line.split(": ", 1)[1] for line in found[:3]] == [
        "'{name} has it' has other placeholders: 'jemand hat es'",
        "'one' is not translated",
        "'Save' is fuzzy",
    ]
    assert len(found) == 6


def test_languages_are_called_by_their_own_names() -> None:
    from django.utils.translation import get_language_info

    for code, name in settings.LANGUAGES:
        assert name == get_language_info(code)["name_local"].capitalize()
