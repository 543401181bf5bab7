"""Preview of a sync, made on a copy of the snapshot file: nothing is changed anywhere."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from ploy_connector_aws.host import Connector
from ploy_connector_aws.runtime.snapshot.compare import ChangeKind, Changes, changed_keys, compare
from ploy_connector_aws.runtime.snapshot.run import Run
from ploy_connector_aws.runtime.snapshot.state_file import open_database, read_database, translate_errors
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.spec.records import RecordKey

from .deletion_guard import hold_reasons
from .ingest import OnProgress, read


@dataclass(frozen=True)
class PreviewedChange:
    """The change of one record: its content in the last committed run, and its new content."""

    kind: ChangeKind
    key: RecordKey
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True)
class Preview:
    """A run that was read and compared, and is never uploaded."""

    store: Store
    run: Run
    changes: Changes

    @property
    def hold_reasons(self) -> tuple[str, ...]:
        """Why a person would have to look first."""
        return hold_reasons(self.changes)

    @property
    def has_base(self) -> bool:
        """Whether there was a last sync to compare with."""
        return self.store.baseline is not None

    def changed(self) -> Iterator[PreviewedChange]:
        """Every record that would be added, changed, removed or kept without proof; kind by kind."""
        return read_changes(self.store, self.run)


def read_changes(
    store: Store, run: Run, kinds: Iterable[ChangeKind] = get_args(ChangeKind)
) -> Iterator[PreviewedChange]:
    """Yield what a compared run changes in the last committed run, kind by kind."""
    base = store.baseline
    for kind in kinds:
        for key in changed_keys(store, run, kind):
            before, after = base.record(key) if base else None, run.record(key)
            yield PreviewedChange(kind, key, before.content if before else None, after.content if after else None)


@contextmanager
def preview(
    connector: Connector,
    path: Path,
    *,
    on_progress: OnProgress = lambda _: None,
    checkpoint: Callable[[], None] = lambda: None,
) -> Iterator[Preview]:
    """Read everything, and compare it as a sync would.

    Args:
        connector: The configured connector.
        path: The integration's snapshot file; it is only read, and need not exist.
        on_progress: Called now and then with the progress of reading.
        checkpoint: Called now and then; the preview ends with what it raises.

    Raises:
        ConnectorError: Nothing at all could be read.
        StateError: The snapshot file cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="ploy-preview-") as folder:
        copy = Path(folder) / path.name
        if (opened := read_database(path)) is not None:
            with translate_errors(path), closing(opened) as kept, closing(open_database(copy)) as db:
                kept.backup(db)
        with Store(copy) as store:
            run = store.begin(uuid.uuid4().hex, datetime.now(UTC))
            read(connector, store, run, on_progress=on_progress, checkpoint=checkpoint)
            yield Preview(store, run, compare(store, run))
