"""Handing a finished run over to the platform: what was proven in it, in batches, and one commit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.batches import split_batches
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.spec.records import RecordType

from .snapshot import Run

MOST_SCOPES_PER_LINE = 100
"""A record that more scopes emitted goes in several lines, so that no line grows with the organisation."""


def push_full(
    platform: PlatformClient,
    integration_id: str,
    sync_id: str,
    run: Run,
    *,
    limits: wire.Limits,
    hold: tuple[str, ...],
) -> wire.CommitAnswer:
    """Send everything that a run proved, and commit it.

    Args:
        platform: Where to.
        integration_id: Whose run it is.
        sync_id: The sync that was opened for it.
        run: A finished run.
        limits: How much a batch may hold.
        hold: Why a person must look first; empty when none needs to.

    Returns:
        The platform's answer.

    Raises:
        PlatformError: The platform could not be reached, or refused.
    """
    sent: Counter[RecordType] = Counter()
    digests = [
        platform.put_batch(integration_id, sync_id, number, lines)
        for number, lines in enumerate(split_batches(_lines(run, sent), limits), start=1)
    ]
    commit = wire.Commit(
        batches=len(digests),
        digest=wire.digest_of_batches(digests),
        records=dict(sent),
        scopes=sum(1 for _ in run.scopes(only_announced=True)),
        hold=wire.Hold(reasons=hold) if hold else None,
    )
    return platform.commit(integration_id, sync_id, commit)


def _lines(run: Run, sent: Counter[RecordType]) -> Iterator[bytes]:
    for scope in run.scopes(only_announced=True):
        yield wire.to_ndjson(
            wire.ScopeLine(
                name=scope.name, parent=scope.parent, ending=scope.ending, failure=scope.failure, origin=scope.origin
            )
        )
    for key in run.retracted():
        yield wire.to_ndjson(wire.TombstoneLine(type=key.type, id=key.id))
    before = None
    for record in run.proven_records(MOST_SCOPES_PER_LINE):
        if before != (before := (record.type, record.id)):
            sent[record.type] += 1
        yield wire.to_ndjson(
            wire.RecordLine(type=record.type, scopes=record.scopes, partial=record.is_partial, record=record.content)
        )
