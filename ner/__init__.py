"""The recogniser itself: plain Python and NumPy, without Django, Celery or (at run time) TensorFlow."""

from __future__ import annotations
