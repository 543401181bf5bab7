"""Time limits of tests. They are long: a limit only ends a test that has failed, even on a busy machine."""

from __future__ import annotations

PATIENCE_SECONDS = 180
