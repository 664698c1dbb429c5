"""The catalogs of translations: gathered from the sources, checked, and compiled into what is served.

    locale/<language>/LC_MESSAGES/django.po     the words of pages   -> django.mo, read by Django
    locale/<language>/LC_MESSAGES/djangojs.po   the words of scripts -> static/js/locale/<language>.js

Gathering needs GNU gettext, compiling needs Babel: both are tools of the developer. What they make is
committed, so a machine that only runs nerapp needs neither.
"""

from __future__ import annotations

import gettext
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from django.apps import apps
from django.conf import settings
from django.core.management import call_command

from corpus.errors import DomainError

if TYPE_CHECKING:
    from babel.messages.catalog import Catalog, Message

#: Folders without a word for people, or with somebody else's.
IGNORED: Final = (
    "tests",
    "bench",
    "corpora",
    "deploy",
    "docs",
    "staticfiles",
    "*/vendor",
    "*/js/locale",
)
_SOURCE_OF_ERRORS: Final = Path("nerapp") / "_messages_of_errors.py"
_MADE_ON: Final = re.compile(r'^"POT-Creation-Date:.*\n', re.MULTILINE)
_PLACE: Final = re.compile(r"%\(\w+\)[sd]|%[sd]|\{\w*\}")


def languages() -> list[str]:
    """Those that need a catalog: English is what the sources are written in."""
    return [code for code, _ in settings.LANGUAGES if code != settings.LANGUAGE_CODE]


def source(language: str, domain: str, *, root: Path | None = None) -> Path:
    """Where a catalog is edited."""
    return (root or Path(settings.BASE_DIR)) / "locale" / language / "LC_MESSAGES" / f"{domain}.po"


def script(language: str) -> Path:
    """Where the compiled words of the scripts lie."""
    return Path(settings.BASE_DIR) / "static" / "js" / "locale" / f"{language}.js"


def gather() -> None:
    """Bring every catalog up to date with the sources, in the folder we stand in; translations stay."""
    _SOURCE_OF_ERRORS.write_text(_errors(), "utf-8")
    try:
        for domain in ("django", "djangojs"):
            call_command(
                "makemessages",
                locale=languages(),
                domain=domain,
                ignore_patterns=list(IGNORED),
                add_location="file",
                no_obsolete=True,
                no_wrap=True,
                verbosity=0,
            )
    finally:
        _SOURCE_OF_ERRORS.unlink()
    for language in languages():
        for domain in ("django", "djangojs"):
            path = source(language, domain, root=Path.cwd())
            if path.exists():
                # A time in the head would make a change of every run.
                path.write_text(_MADE_ON.sub("", path.read_text("utf-8")), "utf-8")


def _errors() -> str:
    """A refusal's message is its class's docstring, where xgettext does not look."""
    for app in apps.get_app_configs():
        if (Path(settings.BASE_DIR) / app.label / "errors.py").exists():
            __import__(f"{app.label}.errors")
    # Those of the API's plumbing are said to programs alone.
    kinds = [kind for kind in _subclasses(DomainError) if kind.__module__.endswith(".errors")]
    templates = sorted({kind.template() for kind in kinds} - {""})
    return "".join(f"gettext_noop({template!r})\n" for template in templates)


def _subclasses(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _subclasses(child)


def read(path: Path) -> Catalog:
    """A catalog as it is edited."""
    from babel.messages.pofile import read_po

    with path.open("rb") as file:
        catalog = read_po(file, domain=path.stem)
    # The head of a compiled catalog says when it was made: always the same, so that only words change it.
    catalog.creation_date = catalog.revision_date = datetime(2026, 1, 1, tzinfo=UTC)
    return catalog


def compiled_pages(language: str) -> bytes:
    """What django.mo must hold."""
    from babel.messages.mofile import write_mo

    file = io.BytesIO()
    write_mo(file, read(source(language, "django")))
    return file.getvalue()


def compiled_scripts(language: str) -> str:
    """What the module of a language must hold."""
    catalog = read(source(language, "djangojs"))
    words = {
        "language": language,
        "plural": _plural(catalog, language),
        "messages": {
            _ids(message)[0]: list(_forms(message)) if message.pluralizable else _forms(message)[0]
            for message in catalog
            if message.id and not message.fuzzy and all(_forms(message))
        },
    }
    return (
        f"// Made by `make messages` from locale/{language}/LC_MESSAGES/djangojs.po.\n"
        'import { use } from "../i18n.js";\n\n'
        f"use({json.dumps(words, ensure_ascii=False, indent=2, sort_keys=True)});\n"
    )


def _plural(catalog: Catalog, language: str) -> dict[str, int]:
    """Which form of gettext stands for which category of the browser's Intl.PluralRules."""
    from babel.core import Locale

    form = gettext.c2py(catalog.plural_expr)
    category = Locale.parse(language, sep="-").plural_form
    return {category(count): form(count) for count in range(1000, -1, -1)}


def compile_all() -> None:
    """Write what is served."""
    for language in languages():
        source(language, "django").with_suffix(".mo").write_bytes(compiled_pages(language))
        script(language).parent.mkdir(exist_ok=True)
        script(language).write_text(compiled_scripts(language), "utf-8")


def problems(language: str) -> Iterator[str]:
    """What keeps a catalog from being complete: a missing or doubtful translation, a lost placeholder."""
    for domain in ("django", "djangojs"):
        for message in read(source(language, domain)):
            if not message.id:
                continue
            ids, forms = _ids(message), _forms(message)
            name = f"{domain}: {ids[0]!r}"
            if message.fuzzy:
                yield f"{name} is fuzzy"
            elif not all(forms):
                yield f"{name} is not translated"
            else:
                # A form for one may leave its number out: "one text".
                wanted = set(_PLACE.findall(ids[-1]))
                lost = [form for form in forms[-1:] if set(_PLACE.findall(form)) != wanted]
                lost += [form for form in forms[:-1] if not set(_PLACE.findall(form)) <= wanted]
                yield from (f"{name} has other placeholders: {form!r}" for form in lost)


def _ids(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def _forms(message: Message) -> tuple[str, ...]:
    forms = message.string or ""
    return (forms,) if isinstance(forms, str) else tuple(forms)
