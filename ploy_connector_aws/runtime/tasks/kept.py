"""Tasks as a task file has kept them, also under an older version that knew no bounds."""

from __future__ import annotations

import json
from datetime import datetime

from pydantic import ValidationError

from ploy_connector_aws.platform import wire
from ploy_connector_aws.spec.bounds import EARLIEST, LATEST, LONGEST_INTERVAL_SECONDS, SHORTEST_INTERVAL_SECONDS


def to_task(text: str) -> wire.Task:
    """Read a task. A number beyond its bound is read as the bound: a task without a deadline to judge is overdue.

    Raises:
        ValidationError: It has no usable id.
    """
    try:
        return wire.Task.model_validate_json(text)
    except ValidationError:
        kept = json.loads(text)
        moments = {
            name: min(max(datetime.fromisoformat(kept[name]), EARLIEST), LATEST) for name in ("created_at", "deadline")
        }
        seconds = min(max(kept["lease_seconds"], SHORTEST_INTERVAL_SECONDS), LONGEST_INTERVAL_SECONDS)
        return wire.Task.model_validate({**kept, **moments, "lease_seconds": seconds})
