"""Feedback is given on predictions: the fixtures that make them are those of inference."""

from __future__ import annotations

from tests.inference.conftest import _fresh_process, champion, get, key, post

__all__ = ["_fresh_process", "champion", "get", "key", "post"]
