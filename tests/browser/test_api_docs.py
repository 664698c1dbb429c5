"""The API's page works from this server alone, under the strict content security policy."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.sync_api import Page, expect


def test_the_api_page_shows_every_operation_and_the_console_stays_clean(
    page: Page, live_server: object
) -> None:
    heard: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: heard.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{live_server}/api/v1/docs")

    for path in ("/api/v1/predict", "/api/v1/predict/batch", "/api/v1/feedback", "/api/v1/models"):
        expect(page.locator(f'[data-path="{path}"]').first).to_be_visible()
    page.locator('[data-path="/api/v1/predict"]').first.click()
    expect(page.get_by_text("Ada Lovelace moved to London in 1835.").first).to_be_visible()
    assert [line for line in heard if not line.startswith(("log:", "info:"))] == []
    assert [url for url in asked if not url.startswith((str(live_server), "data:"))] == []


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_the_api_page_begins_with_predict_in_the_readers_colours(
    page: Page, live_server: object, scheme: Literal["light", "dark"], is_dark: bool
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{live_server}/api/v1/docs")
    expect(page.locator(".opblock-tag").first).to_contain_text("predict")
    said = page.locator(".opblock-summary-description").first
    expect(said).to_have_text("Recognise the entities of one text")
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int(background.removeprefix("rgb(").partition(",")[0]) if background.startswith("rgb(") else 255
    assert (red < 128) == is_dark
