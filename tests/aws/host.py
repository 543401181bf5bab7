"""A host that reads everything of one customer and compares each run with the last one, as the runtime does."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ploy_connector_aws.host import find_connectors
from ploy_connector_aws.runtime.snapshot.compare import Changes, compare
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.ingest import read
from ploy_connector_aws.sandbox.aws import Faults, SeededOrganisation
from ploy_connector_aws.spec.records import RecordType
from tests.runtime.records import START

if TYPE_CHECKING:
    from tests.aws.conftest import Customer


@dataclass
class Host:
    """One integration and its snapshot file."""

    customer: Customer
    store: Store
    runs: int = 0

    @property
    def faults(self) -> Faults:
        return self.customer.aws.faults

    @property
    def seeded(self) -> SeededOrganisation:
        return self.customer.seeded

    def sync(self) -> Changes:
        """Read everything, compare it with the last run, and commit it."""
        self.runs += 1
        run = self.store.begin(f"run-{self.runs}", START)
        read(find_connectors()["aws"].open(self.customer.settings, self.customer.context), self.store, run)
        changes = compare(self.store, run)
        self.store.set_state(run, "committed", generation=self.runs)
        return changes

    def records(self, *, also_partial: bool = True) -> dict[tuple[str, str], bytes]:
        baseline = self.store.baseline
        assert baseline is not None
        return {(each.type, each.id): each.body for each in baseline.records() if also_partial or not each.is_partial}

    def count_records(self) -> dict[RecordType, int]:
        """How many records of each type the last run has."""
        baseline = self.store.baseline
        assert baseline is not None
        return dict(Counter(record.type for record in baseline.records()))

    def failures(self) -> dict[str, str]:
        """Why scopes of the last run failed, by scope."""
        baseline = self.store.baseline
        assert baseline is not None
        return {scope.name: scope.failure.message for scope in baseline.scopes() if scope.failure is not None}

    def check_unchanged(self) -> Changes:
        """Make a run that adds, changes and removes nothing."""
        before = self.records()
        changes = self.sync()
        after = self.records()
        assert {key for key in {*before, *after} if before.get(key) != after.get(key)} == set()
        assert (changes.added, changes.changed, changes.removed) == ({}, {}, {})
        return changes
