"""The rules of docs/architecture.md that a machine can check."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APPS = ("audit", "corpus", "inference", "feedback", "labeling", "retraining", "webhooks", "nerapp")
#: Lower rows first; siblings share a number.
LAYER = {
    **{"ner": 0, "audit": 1, "corpus": 2, "inference": 3, "feedback": 4},
    **{"labeling": 5, "retraining": 5, "webhooks": 5},
}
#: What another app may import from an app (docs/architecture.md says why the last three).
DOORS = {"models", "selectors", "services", "errors", "backoffice", "console", "said", "engine", "wire"}
#: Lines, docstrings of functions not counted.
LONGEST_FILE, LONGEST_FUNCTION = 450, 60


def sources(*packages: str) -> Iterator[Path]:
    for package in packages:
        yield from (p for p in (ROOT / package).rglob("*.py") if "migrations" not in p.parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


def test_imports_run_down_the_layers() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("labeling/models.py", "import retraining.models"),
        ("retraining/models/runs.py", "import labeling.models"),
        ("webhooks/models.py", "import retraining.models"),
        ("inference/models/keys.py", "import feedback.models"),
        ("ner/spans.py", "import django"),
    ],
)
def test_the_import_contracts_find_a_planted_import(tmp_path: Path, module: str, planted: str) -> None:
    for package in ("ner", *APPS):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"\n\ndef planted() -> None:\n    {planted}\n")
    result = lint_imports(tmp_path)
    assert result.returncode != 0, "the contract did not see it"
    assert planted.split()[-1].split(".")[0] in result.stdout


def test_other_apps_are_entered_only_by_their_doors() -> None:
    strangers = []
    for path in sources(*APPS[:-1]):
        app = path.relative_to(ROOT).parts[0]
        for line, module in imports(path):
            parts = module.split(".")
            if parts[0] in APPS and parts[0] != app and (len(parts) < 2 or parts[1] not in DOORS):
                strangers.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert strangers == []


def test_tasks_are_thin() -> None:
    """A task takes ids, imports the service in its body and calls it."""
    thick = []
    for path in sources(*APPS):
        if path.name != "tasks.py":
            continue
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 15:
                thick.append(f"{path.relative_to(ROOT)}: {node.name}")
            if isinstance(node, ast.ImportFrom) and node.module and ".services" in f".{node.module}.":
                thick.append(f"{path.relative_to(ROOT)} imports {node.module} on top")
    assert thick == []


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    docstring = ast.get_docstring(function, clean=False)
    lines = (function.end_lineno or 0) - function.lineno + 1
    return lines - (docstring.count("\n") + 1 if docstring else 0)


def test_no_file_and_no_function_outgrows_its_reader() -> None:
    long = []
    for path in sources("ner", *APPS):
        text = path.read_text("utf-8")
        if text.count("\n") > LONGEST_FILE:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and lines_of(node) > LONGEST_FUNCTION:
                long.append(f"{path.relative_to(ROOT)}: {node.name}, {lines_of(node)} lines")
    assert long == []


@pytest.mark.parametrize("name", ["utils.py", "helpers.py", "common.py", "misc.py"])
def test_there_is_no_junk_drawer(name: str) -> None:
    assert [p for p in sources("ner", *APPS) if p.name == name] == []


def test_nothing_is_loaded_that_could_run_code() -> None:
    risky = {"pickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "h5py", "torch"}
    found = []
    for path in sources("ner", *APPS):
        found += [
            f"{path.relative_to(ROOT)}:{n} imports {m}" for n, m in imports(path) if m.split(".")[0] in risky
        ]
        if "allow_pickle=True" in path.read_text("utf-8"):
            found.append(f"{path.relative_to(ROOT)} loads pickled arrays")
    assert found == []


def test_nothing_marks_a_text_as_safe_markup() -> None:
    found = []
    for path in sources(*APPS):
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Name)
        }
        found += [f"{path.relative_to(ROOT)}: {name}" for name in names & {"mark_safe"}]
    in_templates = re.compile(r"\|\s*safe\b|autoescape off|<script(?![^>]*\ssrc=)[^>]*>|\sstyle=|\son[a-z]+=")
    for path in (ROOT / "templates").rglob("*.html"):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if in_templates.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}")
    assert found == []


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("ner.runtime", ("django", "tensorflow", "keras", "mlflow")),
        ("ner.evaluate", ("django", "tensorflow", "keras", "mlflow")),
        ("nerapp.wsgi", ("tensorflow", "keras", "mlflow")),
    ],
)
def test_importing_it_stays_light(module: str, heavy: tuple[str, ...]) -> None:
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.stdout.strip() == "[]", result.stdout + result.stderr


@pytest.mark.django_db
def test_migrations_are_complete() -> None:
    from django.core.management import call_command

    call_command("makemigrations", "--check", "--dry-run", verbosity=0)


def test_foreign_keys_point_down_the_layers() -> None:
    from django.apps import apps

    up = []
    for app in LAYER.keys() - {"ner"}:
        for model in apps.get_app_config(app).get_models():
            for field in model._meta.get_fields():
                other = getattr(field, "related_model", None)
                if not field.concrete or other is None or other._meta.app_label not in LAYER:
                    continue
                if other._meta.app_label != app and LAYER[other._meta.app_label] >= LAYER[app]:
                    up.append(f"{model._meta.label}.{field.name} -> {other._meta.label}")
    assert up == []


def test_every_model_says_what_a_row_means() -> None:
    from django.apps import apps

    silent = [
        model._meta.label
        for app in LAYER.keys() - {"ner"}
        for model in apps.get_app_config(app).get_models()
        if not model.__doc__ or model.__doc__.startswith(f"{model.__name__}(")
        if not model.__name__.endswith("Event") or model.__name__ in {"AuditEvent", "TrainingRunEvent"}
    ]
    assert silent == []


def test_every_setting_is_documented() -> None:
    from nerapp import env

    told = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert [name for name in env.names() if f"`{name}`" not in told] == []
