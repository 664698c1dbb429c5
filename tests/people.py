"""The cast. Ana and Ben review, Mia owns the models, Otto is in no project, Ada runs the place."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User

from audit.services import SYSTEM
from corpus.models import Membership, Project
from corpus.services import LabelDraft, membership_set, project_create

BASE_LABELS = ("geo", "gpe", "org", "per", "tim", "art", "eve", "nat")


@pytest.fixture
def project(db: None) -> Project:
    """A project with the base labels and two of its own."""
    return project_create(
        slug="orchard",
        name="Orchard",
        labels=[LabelDraft(name=name) for name in (*BASE_LABELS, "cultivar", "pest")],
        actor=SYSTEM,
    )


#: A good hash is slow by design: each password is hashed once a run, not once a test.
hashed = functools.cache(make_password)


def person(name: str, **more: Any) -> User:
    return User.objects.create(username=name, password=hashed(f"{name} has a long password"), **more)


def member(project: Project, name: str, role: str) -> User:
    user = person(name)
    membership_set(project=project, user=user, role=role, actor=SYSTEM)
    return user


@pytest.fixture
def ana(project: Project) -> User:
    """Ana reviews."""
    return member(project, "ana", Membership.Role.REVIEWER)


@pytest.fixture
def ben(project: Project) -> User:
    """Ben reviews too."""
    return member(project, "ben", Membership.Role.REVIEWER)


@pytest.fixture
def mia(project: Project) -> User:
    """Mia owns the models: she trains and promotes."""
    return member(project, "mia", Membership.Role.ML_OWNER)


@pytest.fixture
def otto(db: None) -> User:
    """Otto has an account and no project: he may see nothing."""
    return person("otto")


@pytest.fixture
def ada(db: None) -> User:
    """Ada is the admin of the whole installation."""
    return person("ada", is_staff=True, is_superuser=True)
