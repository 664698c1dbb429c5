"""A label set gets its next revision; what people type must not collide with what the workbench does."""

from __future__ import annotations

import pytest
from django.core.exceptions import ValidationError

from audit.services import SYSTEM
from corpus.errors import HotkeyReserved
from corpus.models import LabelSet, Project
from corpus.selectors import label_set_current, labels_of
from corpus.services import RESERVED_HOTKEYS, LabelDraft, label_set_revise

pytestmark = pytest.mark.django_db


def test_a_key_of_the_workbench_is_refused_and_nothing_is_made(project: Project) -> None:
    with pytest.raises(HotkeyReserved) as refused:
        label_set_revise(project=project, labels=[LabelDraft(name="pear", hotkey="a")], actor=SYSTEM)
    assert refused.value.code == "hotkey_reserved"
    assert LabelSet.objects.filter(project=project).count() == 1


def test_a_label_without_a_key_gets_a_free_one_that_the_workbench_does_not_use(project: Project) -> None:
    drafts = [LabelDraft(name=name) for name in ("a1", "b", "c", "d", "e", "f", "g", "h", "i", "axk")]
    label_set_revise(project=project, labels=drafts, actor=SYSTEM)
    keys = [label.hotkey for label in labels_of(label_set=label_set_current(project=project))]
    assert sorted(keys)[0] == "", "axk has only letters of the workbench, so it has none"
    used = [key for key in keys if key]
    assert len(used) == len(set(used)) == 9
    assert not RESERVED_HOTKEYS & set(used)


@pytest.mark.parametrize(
    ("drafts", "said"),
    [
        ([LabelDraft(name="pear"), LabelDraft(name="Pear")], "label_name_once_per_set"),
        ([LabelDraft(name="a", hotkey="7"), LabelDraft(name="b", hotkey="7")], "label_hotkey_once_per_set"),
        ([LabelDraft(name="two words")], "A label is one word"),
    ],
)
def test_what_cannot_be_a_label_is_refused_in_words(
    project: Project, drafts: list[LabelDraft], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        label_set_revise(project=project, labels=drafts, actor=SYSTEM)
    assert LabelSet.objects.filter(project=project).count() == 1
