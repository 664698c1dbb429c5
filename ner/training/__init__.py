"""Training: the only part of the recogniser that needs TensorFlow, and nothing serves from it."""

from __future__ import annotations
