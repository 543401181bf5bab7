"""Handing a finished run over to the platform: what was proven in it, in batches, and one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.batches import split_batches
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.spec.records import RecordType

from .snapshot import Run


def push_full(
    platform: PlatformClient,
    integration_id: str,
    run: Run,
    *,
    opener: str,
    limits: wire.Limits,
    hold: tuple[str, ...],
    on_opened: Callable[[str], None],
) -> tuple[str, wire.CommitAnswer]:
    """Send everything that a run proved, and commit it.

    Args:
        platform: Where to.
        integration_id: Whose run it is.
        run: A finished run.
        opener: Who hands it over; stable for one snapshot file.
        limits: How much a batch may hold.
        hold: Why a person must look first; empty when none needs to.
        on_opened: Told the platform's id of the sync, before anything is sent.

    Returns:
        The platform's id of the sync, and its answer.

    Raises:
        PlatformError: The platform could not be reached, or refused.
    """
    opened = platform.open_sync(
        integration_id,
        wire.OpenSync(run_id=run.run_id, opener=opener, reading_started_at=run.reading_started_at),
    )
    on_opened(opened.id)
    sent: Counter[RecordType] = Counter()
    digests = [
        platform.put_batch(integration_id, opened.id, number, lines)
        for number, lines in enumerate(split_batches(_lines(run, sent), limits), start=1)
    ]
    commit = wire.Commit(
        batches=len(digests),
        digest=wire.digest_of_batches(digests),
        records=dict(sent),
        scopes=sum(1 for _ in run.scopes(only_announced=True)),
        hold=wire.Hold(reasons=hold) if hold else None,
    )
    return opened.id, platform.commit(integration_id, opened.id, commit)


def _lines(run: Run, sent: Counter[RecordType]) -> Iterator[bytes]:
    for scope in run.scopes(only_announced=True):
        yield wire.to_ndjson(
            wire.ScopeLine(
                name=scope.name, parent=scope.parent, ending=scope.ending, failure=scope.failure, origin=scope.origin
            )
        )
    for key in run.retracted():
        yield wire.to_ndjson(wire.TombstoneLine(type=key.type, id=key.id))
    for record in run.proven_records():
        sent[record.type] += 1
        yield wire.to_ndjson(
            wire.RecordLine(type=record.type, scopes=record.scopes, partial=record.is_partial, record=record.content)
        )
