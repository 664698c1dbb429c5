"""Making projects, revising label sets, storing documents."""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from audit.services import Actor, event_record
from corpus.errors import (
    Conflict,
    EmptyText,
    HotkeyReserved,
    IdempotencyKeyInvalid,
    InvalidUnicode,
    LastManager,
    NullCharacter,
    TextTooLong,
)
from corpus.models import Document, Label, LabelSet, Membership, Project
from corpus.rows import Row as Row
from corpus.rows import copy_into as copy_into
from corpus.rows import copy_line as copy_line
from corpus.rows import ids_new as ids_new
from corpus.rows import rows_copy as rows_copy

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Letters with a meaning in the workbench: next, previous, unsure, accept, reject, caret, skip, undo.
RESERVED_HOTKEYS = frozenset("jkuaxvsz")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PRINTABLE = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?\Z")


class SlugTaken(Conflict):
    """A project named {slug} exists already."""

    code = "slug_taken"


@dataclass(frozen=True, slots=True)
class LabelDraft:
    """A label as wanted in the next revision of a label set."""

    name: str
    title: str = ""
    hotkey: str = ""
    description: str = ""
    guideline: str = ""
    is_pii: bool = False
    confidence_threshold: float = 0.0


def text_check(text: str, *, limit: int) -> None:
    """Refuse a text that cannot be stored and answered exactly as sent.

    Raises EmptyText, TextTooLong, NullCharacter or InvalidUnicode; the message never quotes the text.
    """
    if not text:
        raise EmptyText(pointer="/text")
    if len(text) > limit:
        raise TextTooLong(pointer="/text", limit=limit, length=len(text))
    if (position := text.find("\x00")) >= 0:
        raise NullCharacter(pointer="/text", position=position)
    if match := _SURROGATE.search(text):
        raise InvalidUnicode(pointer="/text", position=match.start())


def key_check(key: str) -> None:
    """Refuse what cannot be an idempotency key."""
    if not _PRINTABLE.match(key):
        raise IdempotencyKeyInvalid(pointer="/idempotency_key")


def text_hash(*, project: Project, text: str) -> str:
    """HMAC-SHA-256 (hex) of the text under the project's key.

    Keyed, so that a hash that outlives an erased text cannot be checked against guesses.
    """
    return hmac.digest(bytes.fromhex(project.hash_key), text.encode(), "sha256").hex()


@transaction.atomic
def project_create(
    *,
    slug: str,
    name: str,
    labels: Sequence[LabelDraft],
    actor: Actor,
    description: str = "",
    allow_overlap: bool = False,
) -> Project:
    """Make a project with the first revision of its label set."""
    if Project.objects.filter(slug=slug).exists():
        raise SlugTaken(pointer="/slug", slug=slug)
    project = Project(slug=slug, name=name, description=description, allow_overlap=allow_overlap)
    project.full_clean()
    project.save()
    label_set_revise(project=project, labels=labels, actor=actor)
    event_record(action="project.create", actor=actor, subject=project, chain=project.slug)
    return project


#: What may be changed of a project after it was made. Its slug names its audit chain and stays.
CHANGEABLE = (
    "name",
    "description",
    "allow_overlap",
    "random_share",
    "diverse_share",
    "traffic_share",
    "traffic_bar",
    "traffic_daily_limit",
    "annotators_per_document",
    "overlap_share",
    "gold_share",
    "hide_names",
)


@transaction.atomic
def project_change(*, project: Project, actor: Actor, reason: str = "", **values: Any) -> Project:
    """Change settings of a project; values equal to the present ones change nothing."""
    if unknown := set(values) - set(CHANGEABLE):
        raise ValueError(f"not a setting of a project: {', '.join(sorted(unknown))}")
    project = Project.objects.select_for_update().get(pk=project.pk)
    changed = {name: value for name, value in values.items() if getattr(project, name) != value}
    if not changed:
        return project
    for name, value in changed.items():
        setattr(project, name, value)
    project.full_clean()
    project.save(update_fields=list(changed))
    event_record(
        action="project.change",
        actor=actor,
        subject=project,
        chain=project.slug,
        reason=reason,
        data={"changed": sorted(changed)},
    )
    return project


@transaction.atomic
def membership_end(*, membership: Membership, actor: Actor, reason: str = "") -> None:
    """Take a person out of a project. What they did there stays. Raises LastManager."""
    _stays_managed(membership.project, without=membership)
    event_record(
        action="membership.end",
        actor=actor,
        subject=membership,
        chain=membership.project.slug,
        reason=reason,
        data={"user": membership.user_id, "role": membership.role},
    )
    membership.delete()


@transaction.atomic
def membership_set(*, project: Project, user: User, role: str, actor: Actor) -> Membership:
    """Give a person a role in a project, or change it. Raises LastManager."""
    known = Membership.objects.filter(project=project, user=user).first()
    if known is not None and role != Membership.Role.ADMIN:
        _stays_managed(project, without=known)
    membership, _ = Membership.objects.update_or_create(
        project=project, user=user, defaults={"role": Membership.Role(role)}
    )
    event_record(
        action="membership.change",
        actor=actor,
        subject=membership,
        chain=project.slug,
        data={"user": user.pk, "role": role},
    )
    return membership


def _stays_managed(project: Project, *, without: Membership) -> None:
    """Refuse to leave a project without anybody who manages it: only superusers could mend that."""
    if without.role != Membership.Role.ADMIN:
        return
    # The lock is the project's: two admins who take each other out at once must see each other do it.
    Project.objects.select_for_update().get(pk=project.pk)
    admins = Membership.objects.filter(project=project, role=Membership.Role.ADMIN, user__is_active=True)
    if not admins.exclude(pk=without.pk).exists():
        raise LastManager(person=str(without.user))


@transaction.atomic
def label_set_revise(
    *, project: Project, labels: Sequence[LabelDraft], actor: Actor, reason: str = ""
) -> LabelSet:
    """Give a project its next label-set revision; older ones stay as they were used.

    A label without a hotkey gets one; HotkeyReserved refuses a key of the workbench's own.
    """
    for draft in labels:
        if draft.hotkey and draft.hotkey in RESERVED_HOTKEYS:
            raise HotkeyReserved(pointer="/hotkey", hotkey=draft.hotkey, label=draft.name)
    # Two revisions at once would take the same number.
    Project.objects.select_for_update().get(pk=project.pk)
    last = project.label_sets.order_by("-revision").first()
    label_set = LabelSet.objects.create(project=project, revision=last.revision + 1 if last else 1)
    taken: set[str] = {draft.hotkey for draft in labels if draft.hotkey}
    made: list[Label] = []
    for position, draft in enumerate(labels):
        hotkey = draft.hotkey or _free_hotkey(draft.name, taken)
        taken.add(hotkey)
        made.append(
            Label(
                label_set=label_set,
                name=draft.name,
                title=draft.title,
                hotkey=hotkey,
                hue=position,
                description=draft.description,
                guideline=draft.guideline,
                is_pii=draft.is_pii,
                confidence_threshold=draft.confidence_threshold,
                position=position,
            )
        )
    _labels_store(made)
    event_record(
        action="label_set.revise",
        actor=actor,
        subject=label_set,
        chain=project.slug,
        reason=reason,
        data={"revision": label_set.revision, "labels": [draft.name for draft in labels]},
    )
    return label_set


def _labels_store(labels: Sequence[Label]) -> None:
    """Store the labels of a new revision; ValidationError says which one cannot be."""
    for label in labels:
        label.clean_fields(exclude={"label_set"})
    try:
        with transaction.atomic():
            Label.objects.bulk_create(labels)
    except IntegrityError:
        # What collides is asked only now: it costs some queries a label.
        for label in labels:
            label.full_clean()
            label.save()
        raise


def _free_hotkey(name: str, taken: set[str]) -> str:
    """The first digit, then letter of the name, that no label and no workbench action uses."""
    candidates = [*"123456789", *(c for c in name.lower() if c.isascii() and c.isalnum())]
    return next((c for c in candidates if c not in taken and c not in RESERVED_HOTKEYS), "")


def label_set_freeze(*, label_set: LabelSet) -> None:
    """Mark a revision as used, so that it is never edited again."""
    LabelSet.objects.filter(pk=label_set.pk, frozen_at=None).update(frozen_at=timezone.now())


@transaction.atomic
def document_store(
    *,
    project: Project,
    text: str,
    source: str = "import",
    external_id: str = "",
    language: str = "en",
    metadata: dict[str, Any] | None = None,
) -> tuple[Document, bool]:
    """Store one text of a project; the same text again is the same document.

    Returns the document and whether it is new. The text is kept exactly as given.
    """
    text_check(text, limit=settings.LIMITS["document_characters"])
    return Document.objects.get_or_create(
        project=project,
        text_hash=text_hash(project=project, text=text),
        defaults={
            "text": text,
            "source": source,
            "external_id": external_id,
            "language": language,
            "metadata": metadata or {},
        },
    )


class DocumentDraft(Protocol):
    """A checked text with its hash (`text_hash`), ready to be stored; the metadata is JSON already."""

    text: str
    text_hash: str
    external_id: str
    metadata: str


class StoredDocument(NamedTuple):
    """Where a draft ended up. An erased text stays erased: nothing may be stored for it."""

    id: str
    is_new: bool
    is_erased: bool = False


def documents_known(*, project: Project, hashes: Sequence[str]) -> dict[str, tuple[str, bool]]:
    """Which of these texts a project has: hash -> (id, whether it was erased)."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT text_hash, id::text, redacted_at IS NOT NULL FROM corpus_document"
            " WHERE project_id = %s AND text_hash = ANY(%s)",
            [project.pk, list(hashes)],
        )
        return {text_hash: (pk, erased) for text_hash, pk, erased in cursor.fetchall()}


def documents_place(*, project: Project, drafts: Sequence[DocumentDraft]) -> list[StoredDocument]:
    """Where each of many checked texts is stored, or will be by `documents_insert` in the same transaction.

    Repeat the transaction when somebody else stored one of the texts meanwhile (IntegrityError).
    """
    known = documents_known(project=project, hashes=[draft.text_hash for draft in drafts])
    placed: dict[str, StoredDocument] = {
        text_hash: StoredDocument(pk, is_new=False, is_erased=erased)
        for text_hash, (pk, erased) in known.items()
    }
    answer: list[StoredDocument] = []
    for draft, pk in zip(drafts, ids_new(len(drafts)), strict=True):
        found = placed.get(draft.text_hash)
        if found is None:
            found = placed[draft.text_hash] = StoredDocument(pk, is_new=True)
        elif found.is_new:
            # Met again further down in the same call, it is known.
            found = StoredDocument(found.id, is_new=False)
        answer.append(found)
    return answer


def documents_insert(
    *,
    project: Project,
    drafts: Sequence[DocumentDraft],
    placed: Sequence[StoredDocument],
    source: str = "import",
    language: str = "en",
) -> None:
    """Store those of the drafts that are new, by COPY.

    Texts of one call keep their order: each is a microsecond younger than the one before.
    """
    now, of_project = timezone.now(), str(project.pk)
    new = [(draft, place) for draft, place in zip(drafts, placed, strict=True) if place.is_new]
    rows = [
        (
            place.id,
            of_project,
            draft.text,
            draft.text_hash,
            source,
            draft.external_id,
            language,
            draft.metadata,
            (now + timedelta(microseconds=number)).isoformat(),
        )
        for number, (draft, place) in enumerate(new)
    ]
    columns = (
        *("id", "project_id", "text", "text_hash", "source"),
        *("external_id", "language", "metadata", "created_at"),
    )
    rows_copy(model=Document, columns=columns, rows=rows)


@transaction.atomic
def documents_import(
    *, project: Project, texts: Iterable[tuple[str, str]], source: str, actor: Actor
) -> tuple[list[Document], int]:
    """Store many `(external id, text)` pairs in one step.

    Returns the documents in the order given (without repeats) and how many of them are new.
    """
    documents: dict[Any, Document] = {}
    created = 0
    for external_id, text in texts:
        document, is_new = document_store(project=project, text=text, source=source, external_id=external_id)
        documents.setdefault(document.pk, document)
        created += is_new
    if created:
        event_record(
            action="document.import",
            actor=actor,
            subject=project,
            chain=project.slug,
            data={"new": created, "known": len(documents) - created, "source": source},
        )
    return list(documents.values()), created
