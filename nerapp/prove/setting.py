"""What a proof starts from: a project with its people and texts, and a reviewer who corrects them."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from nerapp.prove.corpus import World, correct
from nerapp.prove.product import Client, ProofFailed

if TYPE_CHECKING:
    from corpus.models import Project

SLUG = "proof"
_QUIET_SECONDS = 2
_QUEUE_SECONDS = 120

_began = time.monotonic()


def prepare(world: World, *, champion: str = "flagship") -> tuple[Project, str, str]:
    """A project with the base model, its texts, its policy and its people: what an admin would set up."""
    from django.contrib.auth.models import User
    from django.urls import reverse

    from audit.services import SYSTEM
    from corpus.models import Membership
    from corpus.services import LabelDraft, documents_import, membership_set, project_create
    from inference.models import Deployment, ModelVersion
    from inference.services import api_key_create, base_models_load, deployment_set
    from nerapp.sign_in import link_create
    from retraining.services import policy_change

    base_models_load(actor=SYSTEM)
    base = ModelVersion.objects.filter(name=champion, project=None).order_by("-number").first()
    if base is None:
        raise ProofFailed(f"there is no bundled model {champion}")
    labels = [LabelDraft(name=name) for name in world.project_labels]
    project = project_create(slug=SLUG, name="Proof", labels=labels, actor=SYSTEM)
    slot = Deployment.Slot.CHAMPION
    deployment_set(project=project, slot=slot, version=base, actor=SYSTEM, reason="the proof starts here")
    texts = ((example.id, example.text) for example in world.review)
    documents, _ = documents_import(project=project, texts=texts, source="proof", actor=SYSTEM)
    policy_change(project=project, actor=SYSTEM, new_corrections=len(documents), quiet_seconds=_QUIET_SECONDS)
    _, secret = api_key_create(
        project=project, name="proof", scopes=["predict"], actor=SYSTEM, rate_per_hour=1_000_000
    )
    reviewer = User.objects.create_user("reviewer", password=secrets.token_urlsafe(32))
    membership_set(project=project, user=reviewer, role=Membership.Role.ML_OWNER, actor=SYSTEM)
    return project, secret, reverse("sign_in_once", args=[link_create(username="reviewer")])


def review(world: World, person: Client) -> int:
    """Claim and correct every text through the workbench's requests."""
    truth = {example.text: example for example in world.review}
    started = spoke = time.monotonic()
    done = 0
    while done < len(truth):
        task = person.post(f"/projects/{SLUG}/review/next", {})["task"]
        if task is None:  # the queue is filled by beat
            if time.monotonic() - started > _QUEUE_SECONDS:
                raise ProofFailed(f"the queue stayed empty after {done} of {len(truth)} texts")
            time.sleep(1)
            continue
        text, seen = task["text"], time.monotonic()
        spans = correct(truth[text], task["prediction"]["spans"], world.labels)
        person.post(
            f"/projects/{SLUG}/review/tasks/{task['id']}/submit",
            {
                "spans": [span.to_json(text) for span in spans],
                "base_number": task["number"],
                "idempotency_key": secrets.token_urlsafe(16),
                "milliseconds": int((time.monotonic() - seen) * 1000),
            },
        )
        done, started = done + 1, time.monotonic()
        if started - spoke > 10:
            spoke = started
            say(f"{done} of {len(truth)} texts corrected")
    say(f"all {done} texts corrected")
    return done


def say(text: str) -> None:
    """A line of progress with the seconds since the start."""
    print(f"{time.monotonic() - _began:6.0f} s  {text}", flush=True)
