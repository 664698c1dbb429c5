"""What tests with real trainings start from."""

from __future__ import annotations

from tests.training import corrected, data_dir

__all__ = ["corrected", "data_dir"]
