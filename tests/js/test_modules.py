"""The workbench's modules, tested by Node where there is one."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from corpus.services import RESERVED_HOTKEYS

HERE = Path(__file__).parent
MODULES = HERE.parents[1] / "static" / "js"


@pytest.mark.skipif(shutil.which("node") is None, reason="no node: the modules' own tests need it")
@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_the_modules_pass_their_own_tests(name: str) -> None:
    result = subprocess.run(
        ["node", "--test", "--test-reporter=spec", str(HERE / name)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.skipif(shutil.which("node") is None, reason="no node: the modules' own tests need it")
def test_the_letters_of_the_workbench_are_no_labels_keys() -> None:
    program = (
        f"import {{KEYS}} from '{MODULES / 'workbench' / 'keyboard.js'}';"
        "console.log(KEYS.flatMap(([keys]) => keys).filter((key) => /^[a-z0-9]$/.test(key)).join(''))"
    )
    printed = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, check=True
    )
    assert frozenset(printed.stdout.strip()) == RESERVED_HOTKEYS


@pytest.mark.skipif(shutil.which("node") is None, reason="no node: the modules' own tests need it")
def test_the_handbook_lists_the_keys_as_they_are() -> None:
    program = (
        f"import {{KEYS}} from '{MODULES / 'workbench' / 'keyboard.js'}';"
        f"import {{keyText}} from '{MODULES / 'workbench' / 'keymap.js'}';"
        "for (const [keys, , words] of KEYS)"
        " console.log(`| ${keys.map((key) => '`' + keyText(key) + '`').join(' or ')} | ${words} |`)"
    )
    printed = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, check=True
    )
    handbook = (HERE.parents[1] / "docs" / "labeling.md").read_text("utf-8")
    table = handbook.split("<!-- keys", 1)[1].split("<!-- /keys", 1)[0]
    assert [line for line in table.splitlines() if line.startswith("| `")] == printed.stdout.splitlines()


def test_no_module_parses_text_as_html_or_code() -> None:
    forbidden = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser"
        r"|createContextualFragment|setAttribute\(\"style\""
    )
    found = [
        f"{path.name}:{number}: {line.strip()}"
        for path in MODULES.rglob("*.js")
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1)
        if forbidden.search(line)
    ]
    assert found == []


def test_no_template_has_inline_scripts_or_styles_or_marks_text_as_safe() -> None:
    templates = HERE.parents[1] / "templates"
    forbidden = re.compile(r"\sstyle=|<style|\son[a-z]+=|<script(?![^>]*\ssrc=)|\|\s*safe\b|autoescape off")
    found = [
        f"{path.relative_to(templates)}: {match[0]}"
        for path in templates.rglob("*.html")
        for match in forbidden.finditer(path.read_text("utf-8"))
    ]
    assert found == []
