"""The read session, over HTTP from the local AWS: trust, session policy, refresh, retries, and no secret in any log."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
import pytest
import time_machine

from ploy_connector_aws import __version__
from ploy_connector_aws.aws.client.calls import read
from ploy_connector_aws.aws.client.exchanges import ExchangeSession
from ploy_connector_aws.aws.client.rate_limits import CancelledError
from ploy_connector_aws.aws.client.session import (
    INTERACTIVE,
    ReadSession,
    _create_client,
    _new_session,
    make_sts_client,
)
from ploy_connector_aws.aws.permissions import READS
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConnectorError,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
)
from tests.aws.conftest import EXTERNAL_ID, REGION, Customer, open_unguarded, set_environment
from tests.aws.tampering import tampered
from tests.deadlines import PATIENCE_SECONDS


def make_session(customer: Customer, **settings: str) -> ReadSession:
    return ReadSession(AwsConfig.from_settings({**customer.settings, **settings}))


@pytest.fixture
def session(customer: Customer) -> Iterator[ReadSession]:
    session = make_session(customer)
    yield session
    session.close()


def list_users(session: ReadSession, customer: Customer) -> int:
    client = session.client("identitystore", "eu-west-1")
    return len(read(client, "ListUsers", IdentityStoreId=customer.seeded.identity_store_id)["Users"])


def test_the_role_is_assumed_for_an_hour_under_a_name_without_personal_data(
    session: ReadSession, customer: Customer
) -> None:
    session.open()
    (call,) = customer.aws.calls.to("AssumeRole")

    assert {name: call.parameters[name] for name in ("RoleArn", "DurationSeconds", "ExternalId")} == {
        "RoleArn": customer.settings["role_arn"],
        "DurationSeconds": "3600",
        "ExternalId": "(hidden)",
    }
    assert call.parameters.keys().isdisjoint({"SourceIdentity", "Tags"})
    assert call.region == REGION
    assert call.parameters["RoleSessionName"].startswith("ploy-sync-")
    assert json.loads(call.parameters["Policy"])["Statement"][0]["Action"][0] == "s3:ListAllMyBuckets"


def test_the_session_cannot_write_even_where_the_role_may(session: ReadSession, customer: Customer) -> None:
    session.open()
    (assumed,) = customer.aws.calls.to("AssumeRole")
    # Without our guard: AWS itself denies it, by the session policy that the read session asked for.
    unguarded = open_unguarded(customer.aws, "identitystore", assumed.parameters["Policy"])
    with pytest.raises(unguarded.exceptions.AccessDeniedException):
        unguarded.create_group_membership(
            IdentityStoreId=customer.seeded.identity_store_id,
            GroupId=customer.seeded.groups["empty"],
            MemberId={"UserId": customer.seeded.users["ana"]},
        )
    unguarded.close()
    # The one call outside of the list that these tests make, by going around the guard.
    customer.aws.calls.clear()


def test_with_ploy_s_own_credentials_nothing_but_the_role_can_be_assumed(
    session: ReadSession, customer: Customer
) -> None:
    client = session._make_source_client(ExchangeSession(), "sts")
    for operation in client.meta.service_model.operation_names:
        if operation != "AssumeRole":
            with pytest.raises(RejectedError, match=f"allow-list: sts:{operation}"):
                client._make_api_call(operation, {})
    client.close()
    assert len(customer.aws.calls) == 0


def test_the_role_is_assumed_once_for_many_calls_and_threads(session: ReadSession, customer: Customer) -> None:
    with ThreadPoolExecutor(8) as threads:
        counts = list(threads.map(lambda _: list_users(session, customer), range(40)))

    assert counts == [4] * 40
    assert len(customer.aws.calls.to("AssumeRole")) == 1
    assert len({id(session.client("identitystore")) for _ in range(3)}) == 1


@pytest.mark.parametrize(
    "settings",
    [{"external_id": "another-external-id-0001"}, {"role_arn": "arn:aws:iam::{account}:role/Missing"}],
)
def test_a_role_that_is_not_ours_to_assume_lists_the_possible_causes(
    customer: Customer, settings: dict[str, str]
) -> None:
    settings = {name: value.replace("{account}", customer.settings["account_id"]) for name, value in settings.items()}
    session = make_session(customer, **settings)

    with pytest.raises(AuthenticationError) as refused:
        session.open()

    assert refused.value.message.startswith("AWS did not let Ploy assume the role. AWS does not state which")
    assert refused.value.request_id is not None
    assert refused.value.__context__ is None


@pytest.mark.parametrize(
    "environment",
    [
        {"AWS_ACCESS_KEY_ID": "AKIAUNKNOWNUNKNOWN00"},
        {"AWS_SECRET_ACCESS_KEY": "wrong-secret"},
        {"AWS_SESSION_TOKEN": "stale"},
    ],
)
def test_rejected_credentials_of_ploy_have_their_own_error(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    set_environment(monkeypatch, customer.aws, **environment)

    with pytest.raises(AuthenticationError, match="Ploy's own credentials"):
        make_session(customer).open()


def test_missing_credentials_have_their_own_error(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    with pytest.raises(AuthenticationError, match="Ploy's own AWS credentials could not be found"):
        make_session(customer).open()


def test_aws_out_of_reach_is_temporary(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    with SandboxAws() as closed:
        endpoint_url = closed.endpoint_url
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint_url)

    with pytest.raises(TemporaryError, match="could not be reached"):
        make_session(customer).open()


def test_a_session_longer_than_an_hour_is_refreshed_and_never_shows_an_expired_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = datetime(2026, 11, 24, 12, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock, SandboxAws() as aws:
        set_environment(monkeypatch, aws)
        from tests.aws.conftest import make_customer

        customer = make_customer(aws)
        session = make_session(customer)
        for minutes in range(0, 181, 5):
            clock.move_to(start + timedelta(minutes=minutes))
            assert list_users(session, customer) == 4
        session.close()

    assert {call.error_code for call in aws.calls} == {None}
    assert len(aws.calls.to("AssumeRole")) == 4


def test_a_role_that_stops_trusting_in_mid_sync_is_an_authentication_error(monkeypatch: pytest.MonkeyPatch) -> None:
    start = datetime(2026, 11, 24, 12, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock, SandboxAws() as aws:
        set_environment(monkeypatch, aws)
        from tests.aws.conftest import make_customer

        customer = make_customer(aws)
        session = make_session(customer)
        assert list_users(session, customer) == 4
        aws.faults.deny("AssumeRole", "sts:AssumeRole")
        clock.move_to(start + timedelta(minutes=55))
        with pytest.raises(AuthenticationError, match="did not let Ploy assume the role"):
            list_users(session, customer)
        session.close()


@pytest.mark.parametrize("fault", ["throttle", "fail", "cut_connection"])
def test_eight_bad_attempts_in_a_row_are_got_over_and_a_ninth_is_not(
    session: ReadSession, customer: Customer, fault: str
) -> None:
    session.open()
    strike = getattr(customer.aws.faults, fault)
    strike(1, "ListUsers", times=8)
    assert list_users(session, customer) == 4

    strike(1, "ListUsers", times=9)
    with pytest.raises(TemporaryError):
        list_users(session, customer)


def test_the_pause_that_identitystore_asks_for_is_kept(session: ReadSession, customer: Customer) -> None:
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return False

    session.throttle._wait = wait
    customer.aws.faults.throttle(1, "ListUsers", times=1, retry_after_seconds=7)
    budget = session.throttle.limiter("identitystore", "eu-west-1", "ListUsers")
    budget._clock = lambda: 1000.0 + sum(waited)

    assert list_users(session, customer) == 4
    assert max(waited) == pytest.approx(7, abs=0.01)


def test_a_stopped_session_wakes_who_waits_and_calls_nothing_more(session: ReadSession, customer: Customer) -> None:
    session.open()
    session.throttle.limiter("identitystore", "eu-west-1", "ListUsers").back_off(retry_after_seconds=3600)
    errors: list[ConnectorError] = []

    def wait_for_turn() -> None:
        try:
            list_users(session, customer)
        except ConnectorError as error:
            errors.append(error)

    waiting = threading.Thread(target=wait_for_turn)
    waiting.start()
    session.close()
    waiting.join(PATIENCE_SECONDS)

    assert [type(error) for error in errors] == [CancelledError]
    assert customer.aws.calls.to("ListUsers") == []


def test_a_denied_call_names_what_is_missing(session: ReadSession, customer: Customer) -> None:
    customer.aws.faults.deny("ListUsers")

    with pytest.raises(PermissionDeniedError) as denied:
        list_users(session, customer)
    assert denied.value.actions == ("identitystore:ListUsers",)


@pytest.mark.parametrize("loggers", [("",), ("", "botocore"), ("", "botocore.endpoint", "botocore.parsers")])
def test_no_secret_is_logged_by_a_whole_run_at_debug(
    customer: Customer, caplog: pytest.LogCaptureFixture, loggers: tuple[str, ...]
) -> None:
    for name in loggers:
        caplog.set_level(logging.DEBUG, logger=name)
    issued: set[str] = set()

    def listen(_: str, body: bytes) -> bytes:
        for tag in ("SecretAccessKey", "SessionToken", "AccessKeyId"):
            issued.update(part.split("<")[0] for part in body.decode().split(f"<{tag}>")[1:])
        return body

    with tampered(customer.aws.endpoint_url, listen) as endpoint_url, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ENDPOINT_URL", endpoint_url)
        assert customer.read().failures == {}
        with pytest.raises(AuthenticationError):
            make_session(customer, external_id=EXTERNAL_ID[::-1]).open()

    assert len(issued) == 3 + 3, "one session to prove that the role lets Ploy in, one to read"
    secrets = {*issued, EXTERNAL_ID, EXTERNAL_ID[::-1], customer.aws.caller_credentials.secret_access_key}
    logged = "\n".join(f"{record.getMessage()} {record.exc_text or ''}" for record in caplog.records)
    assert [secret for secret in secrets if secret in logged] == []
    assert "AWS4-HMAC-SHA256" not in logged


def test_head_and_body_of_a_small_request_are_sent_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[bytes] = []

    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            pieces.append(connection.recv(65_536))
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:
        server.settimeout(PATIENCE_SECONDS)
        answering = thread.submit(answer, server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        with pytest.raises(ConnectorError):
            read(make_sts_client(REGION, INTERACTIVE), "GetCallerIdentity")
        answering.result(PATIENCE_SECONDS)

    head, _, body = pieces[0].partition(b"\r\n\r\n")
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert body


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1"])
def test_each_call_goes_where_botocore_sends_it(region: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time from memory; only a parameter, such as a bucket, could change the endpoint of an operation."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for service in sorted({action.client for action in READS}):
        ours = _create_client(_new_session(), INTERACTIVE, READS, service, region_name=region)
        theirs = botocore.session.Session().create_client(service, region_name=region)
        for name in (action.operation for action in READS if action.client == service):
            found: list[Any] = []
            for client in (theirs, ours, ours):
                context: dict[str, Any] = {}
                model = client.meta.service_model.operation_model(name)
                found.append((client._resolve_endpoint_ruleset(model, {}, context), context))
            assert found[0] == found[1] == found[2]
        ours.close()
        theirs.close()


def test_each_request_names_this_program(session: ReadSession, customer: Customer) -> None:
    session.open()
    names: list[str] = []
    client = session.client("identitystore", "eu-west-1")
    client.meta.events.register(
        "before-send.*.*", lambda request, **_: names.append(request.headers["User-Agent"].decode())
    )
    list_users(session, customer)

    assert [name.rpartition(" ")[2] for name in names] == [f"ploy-connector-aws/{__version__}"]
