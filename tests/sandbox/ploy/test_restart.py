"""The state of the local Ploy survives a restart at any point."""

import socket
from contextlib import closing
from pathlib import Path

import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.sandbox.ploy import LocalPloy

from .conftest import DECIDER, USERS, Clock, Customer, Line, account, accounts, connect, split
from .worker import Worker, done_of, verified


def reopened(path: Path, clock: Clock) -> LocalPloy:
    return LocalPloy(path, clock=clock)


def test_restart_during_an_upload_loses_nothing(tmp_path: Path, clock: Clock) -> None:
    lines: list[Line] = [USERS, *accounts(12)]
    batches = split(lines, 5)
    with reopened(tmp_path, clock) as ploy:
        organisation_id = ploy.registry.create_organisation("Acme")
        token = ploy.registry.create_token(organisation_id).token
        integration = ploy.registry.create_integration(organisation_id, "aws")
        with connect(ploy, token) as client:
            acme = Customer(ploy, clock, client, organisation_id, integration.id)
            acme.sync(USERS, account("old"))
            clock.pass_by(minutes=1)
            sync_id = acme.open("run")
            first = acme.put(sync_id, batches[:1])

    with reopened(tmp_path, clock) as ploy, connect(ploy, token) as client:
        acme = Customer(ploy, clock, client, organisation_id, integration.id)
        assert client.integrations().integrations == (integration,)
        assert acme.record_ids == ["old"]
        assert client.sync_status(acme.id, sync_id) == wire.SyncStatus(
            id=sync_id, run_id="run", state="open", batches=(wire.StagedBatch(number=1, digest=first[0]),)
        )
        assert acme.open("run") == sync_id
        commit = acme.commit_of(lines, acme.put(sync_id, batches))
        answer = client.commit(acme.id, sync_id, commit)
        acme.sync(USERS, run_id="last")
        held = ploy.view(acme.id).held()

    with reopened(tmp_path, clock) as ploy, connect(ploy, token) as client:
        acme = Customer(ploy, clock, client, organisation_id, integration.id)
        assert client.commit(acme.id, sync_id, commit) == answer
        assert len(acme.record_ids) == 12
        assert held is not None
        assert ploy.approve(acme.id, held.id, **DECIDER).generation == 3
        assert acme.record_ids == []


def test_tasks_leases_and_reports_survive_a_restart(tmp_path: Path, clock: Clock) -> None:
    with reopened(tmp_path, clock) as ploy:
        organisation_id = ploy.registry.create_organisation("Acme")
        token = ploy.registry.create_token(organisation_id).token
        acme_id = ploy.registry.create_integration(organisation_id, "aws").id
        ploy.registry.set_intervals(acme_id, poll_interval_seconds=7)
        with connect(ploy, token) as client:
            worker = Worker(Customer(ploy, clock, client, organisation_id, acme_id))
            worker.order("grant", "u1"), worker.order("grant", "u2"), worker.order("revoke", "u2")
            request = worker.lease_request()
            leased = worker.lease_with(request)
            done = done_of(leased[0], clock.now)
            answer = worker.complete(leased[0], done)
        before = ploy.queue(acme_id).tasks()

    with reopened(tmp_path, clock) as ploy, connect(ploy, token) as client:
        worker = Worker(Customer(ploy, clock, client, organisation_id, acme_id), numbers=worker.numbers)
        assert ploy.queue(acme_id).tasks() == before
        assert client.lease_tasks(acme_id, request) == wire.LeaseAnswer(tasks=leased[1:], poll_interval_seconds=7)
        assert (worker.complete(leased[0], done), worker.lease()) == (answer, ())
        assert worker.complete(leased[1]).state == "done"
        assert [change.id for change in verified(ploy, acme_id)] == [task.id for task in leased]
        assert worker.lease_ids() == [before[2].id]


def test_host_listens_on_loopback_at_the_given_port(tmp_path: Path, clock: Clock) -> None:
    with LocalPloy(tmp_path) as ploy:
        port = int(ploy.url.rpartition(":")[2])
        assert ploy.url == f"http://127.0.0.1:{port}"
        assert ploy._server is not None
        assert ploy._server._socket.getsockname() == ("127.0.0.1", port)
    for _ in range(20):  # another process can take the port meanwhile
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            port = free.getsockname()[1]
        try:
            with LocalPloy(tmp_path, port=port) as ploy:
                assert ploy.url == f"http://127.0.0.1:{port}"
                return
        except OSError:
            continue
    pytest.fail("no port was free")
