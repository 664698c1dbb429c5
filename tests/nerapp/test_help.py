"""The help page says what is true of the product."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from feedback.models import Stratum

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def page(client: Client, otto: User) -> str:
    client.force_login(otto)
    return client.get("/help/").content.decode()


def test_every_key_it_names_is_a_key_of_the_workbench(page: str) -> None:
    table = page[page.index('id="keys"') : page.index('id="queue"')]
    named = set(re.findall(r"<kbd>(.*?)</kbd>", table))
    source = (ROOT / "static" / "js" / "workbench" / "keyboard.js").read_text("utf-8")
    keys = set(re.findall(r'"([^"]+)"', " ".join(re.findall(r"\[\[(.*?)\]", source))))
    # As keymap.js prints them.
    signs = {"ArrowRight": "→", "ArrowLeft": "←", "Enter": "↵", "+": " "}
    for name, sign in signs.items():
        keys = {key.replace(name, sign) for key in keys}
    assert len(named) > 10
    assert named - keys == set()


def test_every_reason_of_the_queue_is_explained(page: str) -> None:
    for stratum in (Stratum.RANDOM, Stratum.DIVERSE, Stratum.API):
        assert str(stratum.label).lower() in page


def test_every_line_of_its_contents_leads_somewhere(page: str) -> None:
    links = re.findall(r'href="#([a-z]+)"', page)
    assert len(links) > 6
    assert [name for name in links if name != "main" and f'<h2 id="{name}"' not in page] == []


def test_it_is_short(page: str) -> None:
    text = re.sub(r"<[^>]*>", " ", page[page.index("help-text") : page.index("</main>")])
    assert len(text.split()) < 1200
