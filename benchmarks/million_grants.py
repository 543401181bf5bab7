"""How long a sync takes to compare and push a million grants, how much memory and disk, when nothing changed.

Run as ``python -m benchmarks.million_grants [GRANTS [UNCHANGED_SYNCS]]``; of the syncs at least two. The runs are
written to a snapshot file as reading would write them, compared, and uploaded to a platform in the same process that
only counts what arrives.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from pydantic import SecretStr

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.runtime.snapshot.compare import Changes, compare, dump_changes
from ploy_connector_aws.runtime.snapshot.run import Observation, Run
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.upload import Upload, UploadTarget, note_answer
from ploy_connector_aws.spec import Account, Entitlement, Grant, Page
from ploy_connector_aws.spec.records import to_json

GRANTS = 1_000_000
_GROUPS = 1_000
_GRANTS_OF_ACCOUNT = 10
_PAGE = 1_000
_UNCHANGED_SYNCS = 2
_START = datetime(2026, 1, 1, tzinfo=UTC)
_INTERVAL = timedelta(minutes=15)


@dataclass(frozen=True)
class Measurement:
    """What unchanged syncs took, without reading."""

    grants: int
    compare_seconds: float
    """Of the first unchanged sync."""
    push_delta_seconds: float
    push_full_seconds: float
    cpu_seconds: float
    """Of the comparison and the full upload."""
    megabytes_sent: float
    """By the full upload, compressed."""
    peak_megabytes: float
    """Not below that of the process that started it."""
    file_growth: float
    """The size of the snapshot file after the unchanged syncs, by that after the first one."""


class CountingPlatform:
    """A platform that commits whatever is sent; it keeps nothing but counts."""

    def __init__(self) -> None:
        self.generation = 0
        self.bytes = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer a call of the contract."""
        path, body = request.url.path, request.content
        self.bytes += len(body)
        if "/batches/" in path:
            number = int(path.rpartition("/")[2])
            return httpx.Response(200, json={"number": number, "lines": 1})
        sent = json.loads(body)
        if path.endswith("/syncs") and sent.get("commit") is None:
            return httpx.Response(200, json={"id": "sync", "batches": [], "lease_seconds": 900})
        self.generation += 1
        answer = {"status": "committed", "generation": self.generation}
        if path.endswith("/syncs"):
            return httpx.Response(200, json={"id": "sync", "batches": [], "lease_seconds": 900, "answer": answer})
        return httpx.Response(200, json=answer)


def pages(grants: int) -> Iterator[tuple[str, str | None, list[Observation]]]:
    """Yield scope, parent and observations of each page; the same ones at each call. A scope may have several."""
    groups = [_id("group", number) for number in range(_GROUPS)]
    people = [_id("user", number) for number in range(grants // _GRANTS_OF_ACCOUNT)]
    for start in range(0, len(people), _PAGE):
        accounts = [Account(id=id_, username=f"person.{id_}@example.com") for id_ in people[start : start + _PAGE]]
        yield "users", None, [Observation("account", each.id, to_json(each), False) for each in accounts]
    entitlements = [Entitlement(id=id_, kind="group", name=f"Group {id_}", grantable=True) for id_ in groups]
    yield "groups", None, [Observation("entitlement", each.id, to_json(each), False) for each in entitlements]
    of_group = grants // _GROUPS
    for number, group in enumerate(groups):
        found = []
        for place in range(of_group):
            person = people[(number * 7919 + place * _GRANTS_OF_ACCOUNT) % len(people)]
            grant = Grant(principal_kind="account", principal_id=person, entitlement_id=group)
            found.append(Observation("grant", grant.id, to_json(grant), False))
        yield f"groups/{group}/members", "groups", found


def _id(kind: str, number: int) -> str:
    return str(uuid.UUID(bytes=hashlib.sha256(f"{kind} {number}".encode()).digest()[:16]))


def _read(store: Store, grants: int, number: int) -> Run:
    run = store.begin(f"run {number}", _START + number * _INTERVAL)
    for scope, parent, observations in pages(grants):
        with store.transaction():
            run.add_page(Page(scope=scope, parent=parent, complete=True))
            run.add_observations(scope, observations)
    return run


def _compare(store: Store, run: Run) -> Changes:
    base = store.baseline
    with store.transaction():
        changes = compare(store, run)
        store.update(run, base=base.number if base else None, changes=dump_changes(changes))
        store.set_state(run, "compared")
    return changes


def _push(store: Store, client: PlatformClient, run: Run, mode: wire.Mode) -> None:
    target = UploadTarget(client, "int_bench", "bench", wire.Limits())
    answer = Upload(target, store, run, ()).run(mode)
    note_answer(store, run, answer)
    store.vacuum()


def _measure_here(grants: int, unchanged_syncs: int) -> Measurement:
    platform = CountingPlatform()
    with (
        tempfile.TemporaryDirectory(prefix="ploy-bench-") as folder,
        PlatformClient(
            "http://127.0.0.1:1",
            TokenSource(token=SecretStr("token")),
            transport=httpx.MockTransport(platform.answer),
        ) as client,
        Store(Path(folder) / "int_bench.sqlite") as store,
    ):
        took: dict[str, list[tuple[float, float]]] = {"compare": [], "full": [], "delta": []}
        sizes = list[int]()
        sent = 0
        for number in range(1 + unchanged_syncs):
            run = _read(store, grants, number)
            began = time.monotonic(), time.process_time()
            changes = _compare(store, run)
            took["compare"].append((time.monotonic() - began[0], time.process_time() - began[1]))
            if number and any((changes.added, changes.changed, changes.removed, changes.retained_unproven)):
                raise RuntimeError(f"an unchanged run has changes: {changes}")
            # The second one is sent in full, as after a day; the others as a delta.
            mode: wire.Mode = "full" if number < 2 else "delta"
            before = platform.bytes
            began = time.monotonic(), time.process_time()
            _push(store, client, run, mode)
            took[mode].append((time.monotonic() - began[0], time.process_time() - began[1]))
            sent = sent or (platform.bytes - before if number == 1 else 0)
            store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            sizes.append(store.path.stat().st_size)
        return Measurement(
            grants=grants,
            compare_seconds=took["compare"][1][0],
            push_full_seconds=took["full"][1][0],
            push_delta_seconds=took["delta"][0][0],
            cpu_seconds=took["compare"][1][1] + took["full"][1][1],
            megabytes_sent=sent / 1e6,
            peak_megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            file_growth=sizes[-1] / sizes[0],
        )


if __name__ == "__main__":
    numbers = [int(each) for each in sys.argv[1:]]
    print(json.dumps(asdict(_measure_here(*numbers, *(GRANTS, _UNCHANGED_SYNCS)[len(numbers) :]))))  # noqa: T201
