"""Members are added, given another role and removed on the team's page, by keyboard alone."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from corpus.models import Membership, Project
from tests.browser.conftest import SignIn
from tests.browser.test_texts import look
from tests.people import member


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_person_comes_in_gets_a_role_and_goes(
    demo_project: Project, sign_in: SignIn, ana: User, otto: User, scheme: str
) -> None:
    reviewer = sign_in(member(demo_project, "adam", "admin"), color_scheme=scheme, reduced_motion="reduce")
    page = reviewer.page
    page.goto(f"{reviewer.home}team/")
    name = page.get_by_label("User name or e-mail address")
    name.focus()
    page.keyboard.type("otta")
    reviewer.press("Enter")
    page.get_by_text("There is no account “otta”").wait_for()
    assert page.evaluate("document.activeElement.id") == "member-name", "the hand is where the error is"
    look(page, f"team-refused-{scheme}")
    reviewer.press("End", "Backspace", "o", "Enter")
    page.get_by_text("otto is in the project now, as Annotator.").wait_for()
    page.get_by_label("Role of otto").focus()
    reviewer.press("v", "Tab", "Enter")
    page.get_by_text("otto is Viewer from now on.").wait_for()
    look(page, f"team-members-{scheme}")
    page.get_by_label("Role of otto").focus()
    reviewer.press("Tab", "Tab", "Enter", "Tab", "Enter")
    page.get_by_text("otto is not in the project any more.").wait_for()
    assert set(Membership.objects.values_list("user__username", flat=True)) == {"adam", "ana"}
    assert page.get_by_label("Role of adam").count() == 0, "the last admin stays one"
    # The refusal is told by its status, which browsers write down.
    assert [one for one in reviewer.complaints if "status of 400" not in one] == []
