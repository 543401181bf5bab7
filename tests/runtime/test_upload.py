"""Upload of a run to a local Ploy."""

from __future__ import annotations

from ploy_connector_aws.platform import wire
from ploy_connector_aws.runtime.snapshot.compare import compare
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.runtime.sync.upload import MOST_SCOPES_PER_LINE, Upload, UploadTarget
from ploy_connector_aws.spec import Page
from tests.sandbox.ploy.conftest import Customer, acme, clock, enroll, ploy

from .records import START, account, begin

__all__ = ["acme", "clock", "enroll", "ploy"]


def test_a_record_of_many_scopes_goes_in_lines_of_bounded_length_and_arrives_as_one(
    acme: Customer, store: Store
) -> None:
    names = [f"group/{number}" for number in range(2 * MOST_SCOPES_PER_LINE + 1)]
    members = (Page(scope=name, parent="groups", records=(account("u"),), complete=True) for name in names)
    run = begin(store, Page(scope="groups", complete=True), *members)
    changes = compare(store, run)
    acme.clock.now = START
    limits = wire.Limits(max_batch_bytes=2_000)
    assert changes.added == {"account": 1}

    answer = Upload(UploadTarget(acme.client, acme.id, "here", limits), store, run, hold=()).run("full")

    (record,) = acme.ploy.view(acme.id).records()
    assert (answer.added, sorted(record.scopes)) == ({"account": 1}, sorted(names))
