from dataclasses import replace

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import PlatformRejectedError, SyncGoneError, SyncTakenError

from .conftest import USERS, Customer, Line, account, split


def state(customer: Customer, sync_id: str) -> str:
    status = customer.client.sync_status(customer.id, sync_id)
    assert status is not None
    return status.state


def test_same_run_gets_the_same_sync_with_its_batches(acme: Customer) -> None:
    sync_id = acme.open("run")
    (digest,) = acme.put(sync_id, split([USERS], 1))

    assert acme.open("run") == sync_id
    assert acme.client.sync_status(acme.id, sync_id) == wire.SyncStatus(
        id=sync_id, run_id="run", state="open", batches=(wire.StagedBatch(number=1, digest=digest),)
    )


def test_new_run_of_the_same_client_replaces_its_open_sync(acme: Customer) -> None:
    one, other = acme.open("one"), acme.open("other")

    assert (state(acme, one), state(acme, other)) == ("replaced", "open")
    with pytest.raises(SyncGoneError, match="It was replaced"):
        acme.put(one, split([USERS], 1))
    with pytest.raises(SyncGoneError):
        acme.client.commit(acme.id, one, acme.commit_of([], []))


def test_other_client_waits_for_the_lease_that_each_batch_renews(acme: Customer) -> None:
    rival = replace(acme, opener="runtime-2")
    sync_id = acme.open()
    acme.clock.pass_by(minutes=4)
    acme.put(sync_id, split([USERS], 1))
    acme.clock.pass_by(minutes=4)

    with pytest.raises(SyncTakenError) as caught:
        rival.open()
    assert caught.value.retry_after_seconds == 60

    acme.clock.pass_by(minutes=1)
    taken_over = rival.open()
    assert (state(acme, sync_id), state(acme, taken_over)) == ("replaced", "open")


def test_client_with_an_expired_lease_continues_until_it_is_replaced(acme: Customer) -> None:
    sync_id = acme.open()
    acme.clock.pass_by(hours=1)

    digests = acme.put(sync_id, split([USERS], 1))

    assert acme.client.commit(acme.id, sync_id, acme.commit_of([USERS], digests)).status == "committed"


def test_committed_run_is_not_opened_again(acme: Customer) -> None:
    sync_id = acme.open("run")
    digests = acme.put(sync_id, split([USERS], 1))
    answer = acme.client.commit(acme.id, sync_id, acme.commit_of([USERS], digests))

    assert acme.open("run") == sync_id
    assert acme.put(sync_id, split([USERS], 1)) == digests
    assert acme.client.commit(acme.id, sync_id, acme.commit_of([USERS], digests)) == answer


def test_aborted_sync_is_gone_and_its_run_can_restart(acme: Customer) -> None:
    sync_id = acme.open("run")
    acme.put(sync_id, split([USERS, account("u1")], 1))

    assert [acme.client.abort(acme.id, sync_id).state for _ in range(2)] == ["aborted", "aborted"]

    with pytest.raises(SyncGoneError):
        acme.put(sync_id, split([USERS], 1))
    again = acme.open("run")
    assert (again != sync_id, state(acme, again)) == (True, "open")
    assert acme.client.sync_status(acme.id, again).batches == ()  # type: ignore[union-attr]


def test_aborting_a_committed_sync_changes_nothing(acme: Customer) -> None:
    sync_id = acme.open()
    digests = acme.put(sync_id, split([USERS, account("u1")], 1))
    lines: list[Line] = [USERS, account("u1")]
    acme.client.commit(acme.id, sync_id, acme.commit_of(lines, digests))

    assert acme.client.abort(acme.id, sync_id).state == "committed"
    assert acme.record_ids == ["u1"]


def test_read_that_began_in_the_future_is_rejected(acme: Customer) -> None:
    with pytest.raises(PlatformRejectedError) as caught:
        acme.open(reading_started_at=acme.clock.now.replace(year=2027))

    assert caught.value.code == "clock_ahead"


def test_unknown_sync_has_no_status(acme: Customer) -> None:
    assert acme.client.sync_status(acme.id, "none") is None
    with pytest.raises(SyncGoneError):
        acme.put("none", split([USERS], 1))
    with pytest.raises(SyncGoneError):
        acme.client.abort(acme.id, "none")
