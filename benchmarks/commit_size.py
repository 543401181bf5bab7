"""How long the local Ploy takes to commit a large run, and how much memory.

Run as ``python -m benchmarks.commit_size``. Two commits are made in a process of their own: the first has nothing to be
compared with, the second is a whole run again, in which every tenth account has another name.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy.syncs import Syncs
from ploy_connector_aws.spec import Grant
from ploy_connector_aws.spec.records import to_json

from .measured import run_measured

OBSERVATIONS = 600_000

_GROUPS = 1000
_BATCH_LINES = 2000
_START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Measurement:
    """What two commits took."""

    observations: int
    first_seconds: float
    second_seconds: float
    most_cpu_seconds: float
    """Of the longer one; on a machine that does nothing else, hardly less than its seconds."""
    changed: int
    peak_megabytes: float


def measure(observations: int = OBSERVATIONS) -> Measurement:
    """Commit a run of so many observations, and another one, in a process of its own."""
    usage = run_measured([sys.executable, "-m", "benchmarks.commit_size", str(observations)], {})
    return Measurement(**json.loads(usage.output), peak_megabytes=usage.peak_megabytes)


def _lines(observations: int, version: int) -> Iterator[wire.AnyLine]:
    """Half of the records are accounts, but for the groups; the other half are their memberships."""
    groups = [f"g-{number:036}" for number in range(_GROUPS)]
    for name in ("users", "groups", *(f"groups/{id_}/members" for id_ in groups)):
        yield wire.ScopeLine(name=name, parent="groups" if "/" in name else None, ending="complete")
    for id_ in groups:
        content = {"id": id_, "kind": "group", "name": f"Group {id_}", "grantable": True}
        yield wire.RecordLine.model_validate(
            {"type": "entitlement", "id": id_, "scopes": ("groups",), "record": content}
        )
    people = (observations - _GROUPS) // 2
    for number in range(people):
        id_ = f"u-{number:036}"
        name = f"Person {number} {version if number % 10 == 0 else ''}"
        content = {
            "id": id_,
            "username": f"person.{number}@example.com",
            "display_name": name,
            "emails": [{"address": f"person.{number}@example.com"}],
        }
        yield wire.RecordLine.model_validate({"type": "account", "id": id_, "scopes": ("users",), "record": content})
    for number in range(observations - _GROUPS - people):
        group = groups[number % _GROUPS]
        grant = Grant(principal_kind="account", principal_id=f"u-{number % people:036}", entitlement_id=group)
        yield wire.RecordLine.model_validate(
            {
                "type": "grant",
                "id": grant.id,
                "scopes": (f"groups/{group}/members",),
                "record": json.loads(to_json(grant)),
            }
        )


def _commit_both(observations: int) -> dict[str, float]:
    """Make both commits; return the measurement, without the peak of this process."""
    with tempfile.TemporaryDirectory(prefix="ploy-bench-") as folder:
        handover = Syncs(Path(folder) / "ploy.sqlite", clock=lambda: _START, lease=timedelta(hours=1))
        seconds, cpu_seconds, answers = [], [], []
        for version in range(2):
            opening = wire.OpenSync(
                run_id=f"run {version}", opener="o", reading_started_at=_START + timedelta(seconds=version)
            )
            sync_id = handover.open(opening).id
            lines, digests = _lines(observations, version), []
            records: dict[str, int] = {}
            scopes = 0
            while batch := list(islice(lines, _BATCH_LINES)):
                for line in batch:
                    if isinstance(line, wire.RecordLine):
                        records[line.type] = records.get(line.type, 0) + 1
                    else:
                        scopes += 1
                body = wire.pack(wire.to_ndjson(line) for line in batch)
                digests.append(wire.digest_of(body))
                handover.put_batch(
                    sync_id, len(digests), body, wire.to_content_digest(digests[-1]), wire.Limits(max_batch_bytes=2**30)
                )
            commit = wire.Commit.model_validate(
                {
                    "batches": len(digests),
                    "digest": wire.digest_of_batches(digests),
                    "records": records,
                    "scopes": scopes,
                }
            )
            started, cpu_started = time.monotonic(), time.process_time()
            answers.append(handover.commit(sync_id, commit))
            seconds.append(time.monotonic() - started)
            cpu_seconds.append(time.process_time() - cpu_started)
        handover.close()
    changed = sum(answers[1].changed.values())
    return {
        "observations": observations,
        "first_seconds": seconds[0],
        "second_seconds": seconds[1],
        "most_cpu_seconds": max(cpu_seconds),
        "changed": changed,
    }


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(_commit_both(int(sys.argv[1]))))  # noqa: T201
    else:
        print(measure())  # noqa: T201
