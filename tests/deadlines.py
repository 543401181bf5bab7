"""How long a test waits for what must happen. It only ends a test that failed, so a busy machine fails none."""

from __future__ import annotations

PATIENCE_SECONDS = 180
