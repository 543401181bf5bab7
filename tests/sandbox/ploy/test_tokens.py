import sqlite3
import uuid

import httpx
import pytest

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.errors import TokenRejectedError, UnknownIntegrationError
from ploy_connector_aws.sandbox.ploy import ForbiddenError

from .conftest import USERS, Customer, Enroll, account, connect
from .worker import Worker, done_of, failed_of

HELLO = wire.HelloRequest(
    runtime_version="1",
    connector="aws",
    connector_version="2",
    spec_version=1,
    capabilities=("list_accounts",),
    config_fingerprint="0" * 64,
)


def test_token_lists_only_its_organisations_integrations(acme: Customer, enroll: Enroll) -> None:
    other = enroll("Other")

    served = acme.client.integrations().integrations

    assert served == (acme.ploy.registry.integration(acme.id).integration,)
    assert served[0].settings.keys() == {"region", "external_id"}
    assert [one.id for one in other.client.integrations().integrations] == [other.id]


def test_integration_of_another_organisation_is_unknown_in_every_call(acme: Customer, enroll: Enroll) -> None:
    stranger = enroll("Other").client
    sync_id, worker = acme.open(), Worker(acme)
    worker.order("grant")
    (task,) = worker.lease()
    worker.order("grant")
    commit = wire.Commit(batches=0, digest="0" * 64, records={}, scopes=0)
    opening = wire.OpenSync(run_id="r", opener="o", reading_started_at=acme.clock.now)

    refusals = []
    for integration_id in (acme.id, "int-none"):
        for call in (
            lambda id_: stranger.hello(id_, HELLO),
            lambda id_: stranger.open_sync(id_, opening),
            lambda id_: stranger.put_batch(id_, sync_id, 1, wire.pack([wire.to_ndjson(USERS)])),
            lambda id_: stranger.sync_status(id_, sync_id),
            lambda id_: stranger.commit(id_, sync_id, commit),
            lambda id_: stranger.abort(id_, sync_id),
            lambda id_: stranger.lease_tasks(id_, wire.LeaseRequest(request_id="r", worker_id="h", max_tasks=1)),
            lambda id_: stranger.extend_lease(id_, task.id, wire.LeaseExtension(lease_id=task.lease_id)),
            lambda id_: stranger.complete_task(id_, task.id, done_of(task, acme.clock.now)),
            lambda id_: stranger.fail_task(id_, task.id, failed_of(task)),
        ):
            with pytest.raises(UnknownIntegrationError) as caught:
                call(integration_id)
            refusals.append(caught.value.problem)

    assert set(refusals) == {refusals[0]}
    assert acme.client.sync_status(acme.id, sync_id).state == "open"  # type: ignore[union-attr]
    assert [one.state for one in acme.ploy.queue(acme.id).tasks()] == ["leased", "queued"]


def test_sync_of_another_integration_is_unknown(acme: Customer) -> None:
    other = acme.ploy.registry.create_integration(acme.organisation_id, "aws")

    assert acme.client.sync_status(other.id, acme.open()) is None


def test_two_tokens_are_valid_at_once_for_rotation(acme: Customer) -> None:
    new = acme.ploy.registry.create_token(acme.organisation_id)
    with pytest.raises(ForbiddenError, match="at most 2 tokens"):
        acme.ploy.registry.create_token(acme.organisation_id)

    with connect(acme.ploy, new.token) as client:
        assert client.integrations() == acme.client.integrations()
        acme.ploy.registry.revoke_token(new.id)
        with pytest.raises(TokenRejectedError):
            client.integrations()

    assert acme.client.integrations()
    assert acme.ploy.registry.create_token(acme.organisation_id).token != new.token
    with pytest.raises(ForbiddenError, match="no such token"):
        acme.ploy.registry.revoke_token(new.id)


def test_only_the_digest_of_a_token_is_stored(acme: Customer) -> None:
    issued = acme.ploy.registry.create_token(acme.organisation_id)

    kept = b"".join(path.read_bytes() for path in acme.ploy._state_dir.rglob("*") if path.is_file())

    assert issued.token.encode() not in kept
    assert issued.token not in repr(issued)


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer wrong", "Basic YTpi", "ploy_x"])
def test_call_without_a_token_is_rejected_with_a_challenge(acme: Customer, header: str | None) -> None:
    answer = httpx.get(
        f"{acme.ploy.url}/connector/v1/integrations", headers={"authorization": header} if header else {}
    )

    assert (answer.status_code, answer.headers["www-authenticate"], answer.json()["code"]) == (
        401,
        "Bearer",
        "token_rejected",
    )


def test_only_the_platform_generates_the_external_id(acme: Customer) -> None:
    one, other = (
        acme.ploy.registry.create_integration(acme.organisation_id, "aws").settings["external_id"] for _ in "12"
    )

    assert one != other
    assert uuid.UUID(str(one)).version == 4
    with pytest.raises(ForbiddenError, match="The platform generates"):
        acme.ploy.registry.create_integration(acme.organisation_id, "aws", {"external_id": str(one)})
    with pytest.raises(ForbiddenError, match="The platform generates"):
        acme.ploy.registry.change_settings(acme.id, {"external_id": str(one)})


def test_runtime_sees_changed_settings_and_no_disabled_integration(acme: Customer) -> None:
    before = acme.client.integrations().integrations[0].settings
    acme.ploy.registry.change_settings(acme.id, {"region": None, "role": "r"})
    assert acme.client.integrations().integrations[0].settings == {
        "external_id": before["external_id"],
        "role": "r",
    }

    acme.ploy.registry.enable(acme.id, False)
    assert acme.client.integrations().integrations == ()
    with pytest.raises(UnknownIntegrationError):
        acme.client.hello(acme.id, HELLO)


def test_hello_returns_limits_intervals_flags_and_generation(acme: Customer) -> None:
    assert acme.client.hello(acme.id, HELLO) == wire.HelloAnswer()

    acme.ploy.registry.set_limits(acme.id, max_batch_lines=3)
    acme.ploy.registry.set_flags(acme.id, paused=True, full_requested=True)
    acme.ploy.registry.set_intervals(acme.id, scan_interval_seconds=60)
    acme.sync(USERS, account("u1"))

    assert acme.client.hello(acme.id, HELLO) == wire.HelloAnswer(
        limits=wire.Limits(max_batch_lines=3), flags=wire.Flags(paused=True), generation=1, scan_interval_seconds=60
    )
    assert acme.ploy.registry.integration(acme.id).hello == HELLO


def test_files_are_readable_by_their_owner_only(acme: Customer) -> None:
    acme.sync(USERS)
    state = acme.ploy._state_dir

    files = (state, state / "ploy.sqlite", state / "integrations" / f"{acme.id}.sqlite")

    assert [path.stat().st_mode & 0o777 for path in files] == [0o700, 0o600, 0o600]


def test_external_ids_are_stored_in_the_settings_only(acme: Customer) -> None:
    secret = str(acme.ploy.registry.integration(acme.id).integration.settings["external_id"])
    acme.client.hello(acme.id, HELLO)
    acme.sync(USERS, account("u1"))

    with sqlite3.connect(acme.ploy._state_dir / "ploy.sqlite") as db:
        dump = [line for line in db.iterdump() if secret in line]
    db.close()

    assert len(dump) == 1
    assert dump[0].startswith('INSERT INTO "integrations"')
    assert secret.encode() not in (acme.ploy._state_dir / "integrations" / f"{acme.id}.sqlite").read_bytes()
