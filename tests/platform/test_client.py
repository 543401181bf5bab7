import gzip
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
import uvicorn
from pydantic import SecretStr

from ploy_connector_aws.platform import wire
from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import (
    BatchConflictError,
    CheckEndedError,
    PlatformError,
    PlatformRejectedError,
    PlatformUnavailableError,
    SetupUnfinishedError,
    StaleReadError,
    SyncGoneError,
    SyncTakenError,
    TaskGoneError,
    TokenRejectedError,
    UnknownIntegrationError,
)
from ploy_connector_aws.platform.openapi import CALLS
from ploy_connector_aws.platform.retry import RetryPolicy
from ploy_connector_aws.spec import ConfigurationError
from tests.platform.calls import ANSWERED, DONE, LEASE

URL = "https://ploy.example/base"
API = URL + "/connector/v1"
TOKEN = "ploy_t0ken"
BATCH = API + "/integrations/i1/syncs/s1/batches/1"
NONE = wire.Integrations(integrations=())
OK = httpx.Response(200, json={"integrations": []})


@dataclass
class Clock:
    """Time that passes only in waits."""

    seconds: float = 0
    waits: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds

    def retry(self, **changes: Any) -> RetryPolicy:
        return RetryPolicy(sleep=self.sleep, monotonic=lambda: self.seconds, jitter=lambda: 1.0, **changes)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(clock: Clock) -> Iterator[PlatformClient]:
    with PlatformClient(URL, TokenSource(token=SecretStr(TOKEN)), retry=clock.retry()) as opened:
        yield opened


def problem(code: str, status: int | None = None, **more: Any) -> httpx.Response:
    kind = wire.PROBLEMS[code]
    headers = {"content-type": wire.PROBLEM_JSON, **more.pop("headers", {})}
    body = {"status": status or kind.status, "code": code, "title": kind.title, **more}
    return httpx.Response(status or kind.status, json=body, headers=headers)


@respx.mock
def test_call_carries_the_token_in_its_header_only(client: PlatformClient) -> None:
    route = respx.get(API + "/integrations").mock(return_value=OK)

    assert client.integrations() == NONE

    request = route.calls.last.request
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in str(request.url)


@respx.mock
def test_batch_is_deterministic_gzip_ndjson_with_its_digest(
    client: PlatformClient,
) -> None:
    route = respx.put(BATCH).mock(return_value=httpx.Response(200, json={"number": 1, "lines": 2}))

    for lines in ([b"{}", b"[]"], iter([b"{}", b"[]"])):
        client.put_batch("i1", "s1", 1, wire.pack(lines))

    one, other = (call.request for call in route.calls)
    assert one.content == other.content
    assert gzip.decompress(one.content) == b"{}\n[]\n"
    assert {name: one.headers[name] for name in ("content-type", "content-encoding", "content-digest")} == {
        "content-type": "application/x-ndjson",
        "content-encoding": "gzip",
        "content-digest": wire.to_content_digest(wire.digest_of(one.content)),
    }


@respx.mock
@pytest.mark.parametrize(
    "first",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("slow"),
        httpx.ReadTimeout("slow"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("closed without an answer"),
        *(httpx.Response(status) for status in (408, 429, 500, 502, 503, 504)),
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", [call.name for call in CALLS])
def test_every_call_is_retried_after_a_lost_answer(client: PlatformClient, clock: Clock, first: Any, name: str) -> None:
    arguments, method, path, answer = ANSWERED[name]
    route = respx.route(method=method, url=API + path).mock(side_effect=[first, httpx.Response(200, json=answer)])

    assert getattr(client, name)(*arguments)

    assert len({(call.request.content, call.request.headers["authorization"]) for call in route.calls}) == 1
    assert (route.call_count, clock.waits) == (2, [0.5])


@respx.mock
def test_retries_end_after_a_bounded_number_of_growing_waits(client: PlatformClient, clock: Clock) -> None:
    route = respx.get(API + "/integrations").mock(return_value=httpx.Response(500))

    with pytest.raises(PlatformUnavailableError) as caught:
        client.integrations()

    assert str(caught.value) == "Ploy answered 500 (attempt 6 of GET /base/connector/v1/integrations)."
    assert (route.call_count, clock.waits) == (6, [0.5, 1, 2, 4, 8])


@respx.mock
def test_retries_end_when_the_time_is_used_up(clock: Clock) -> None:
    def late(_: httpx.Request) -> httpx.Response:
        clock.seconds += 60
        raise httpx.ReadTimeout("slow")

    route = respx.get(API + "/integrations").mock(side_effect=late)

    with PlatformClient(URL, TokenSource(token=SecretStr(TOKEN)), retry=clock.retry(max_seconds=100)) as client:
        with pytest.raises(PlatformUnavailableError, match="could not be reached: ReadTimeout slow"):
            client.integrations()
    assert route.call_count == 2


@respx.mock
def test_retry_after_is_honoured_in_seconds_and_as_a_date(client: PlatformClient, clock: Clock) -> None:
    dated = httpx.Response(503, headers={"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"})
    respx.get(API + "/integrations").mock(side_effect=[httpx.Response(429, headers={"retry-after": "7"}), dated, OK])

    assert client.integrations() == NONE

    assert clock.waits == [7.5, 0.5]


@respx.mock
def test_too_long_a_wait_is_left_to_the_caller(client: PlatformClient, clock: Clock) -> None:
    respx.get(API + "/integrations").mock(return_value=problem("unavailable", headers={"retry-after": "3600"}))

    with pytest.raises(PlatformUnavailableError) as caught:
        client.integrations()

    assert (caught.value.retry_after_seconds, clock.waits) == (3600, [])


@respx.mock
@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("sync_taken", SyncTakenError),
        ("sync_gone", SyncGoneError),
        ("stale_reading", StaleReadError),
        ("batch_conflict", BatchConflictError),
        ("commit_conflict", BatchConflictError),
        ("integration_unknown", UnknownIntegrationError),
        ("check_conflict", CheckEndedError),
        ("set_up_unfinished", SetupUnfinishedError),
        ("lines_rejected", PlatformRejectedError),
        ("body_too_large", PlatformRejectedError),
    ],
)
def test_rejection_has_its_own_error_and_is_not_retried(
    client: PlatformClient, clock: Clock, code: str, error: type[PlatformRejectedError]
) -> None:
    respx.put(BATCH).mock(return_value=problem(code, detail="As it is.", headers={"retry-after": "9"}))

    with pytest.raises(PlatformRejectedError) as caught:
        client.put_batch("i1", "s1", 1, wire.pack([]))

    assert (type(caught.value), caught.value.code, caught.value.retry_after_seconds) == (error, code, 9)
    assert str(caught.value) == (
        "Ploy rejected PUT /base/connector/v1/integrations/i1/syncs/s1/batches/1: "
        f"{wire.PROBLEMS[code].title} As it is."
    )
    assert clock.waits == []


@respx.mock
@pytest.mark.parametrize("code", ["task_unknown", "lease_lost", "task_conflict"])
@pytest.mark.parametrize("name", ["extend", "complete", "fail"])
def test_report_of_a_lost_or_ended_task_is_not_retried(
    client: PlatformClient, clock: Clock, name: str, code: str
) -> None:
    route = respx.post(f"{API}/integrations/i1/tasks/t1/{name}").mock(return_value=problem(code))

    with pytest.raises(TaskGoneError) as caught:
        if name == "extend":
            client.extend_lease("i1", "t1", wire.LeaseExtension(lease_id="l1"))
        elif name == "complete":
            client.complete_task("i1", "t1", DONE)
        else:
            client.fail_task("i1", "t1", wire.TaskFailed(lease_id="l1", code="c", message="m"))

    assert str(caught.value) == (
        f"Ploy rejected POST /base/connector/v1/integrations/i1/tasks/t1/{name}: {wire.PROBLEMS[code].title}"
    )
    assert (caught.value.code, route.call_count, clock.waits) == (code, 1, [])


@respx.mock
def test_a_report_that_is_wrong_in_itself_is_refused_and_the_task_is_not_gone(client: PlatformClient) -> None:
    respx.post(API + "/integrations/i1/tasks/t1/complete").mock(return_value=problem("body_invalid"))

    with pytest.raises(PlatformRejectedError) as caught:
        client.complete_task("i1", "t1", DONE)

    assert (type(caught.value), caught.value.code) == (PlatformRejectedError, "body_invalid")


@respx.mock
@pytest.mark.parametrize(("wait_seconds", "limit"), [(0, 15), (60, 75)])
def test_long_poll_waits_longer_than_the_platform(client: PlatformClient, wait_seconds: int, limit: float) -> None:
    route = respx.post(API + "/integrations/i1/tasks/lease").mock(return_value=httpx.Response(200, json={}))

    request_ = LEASE.model_copy(update={"wait_seconds": wait_seconds})
    assert client.lease_tasks("i1", request_) == wire.LeaseAnswer()

    assert route.calls.last.request.extensions["timeout"] == {
        "connect": 10,
        "read": limit,
        "write": limit,
        "pool": limit,
    }


@respx.mock
def test_invalid_task_is_set_apart_from_leased_ones(client: PlatformClient) -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    task = {"id": "t1", "kind": "grant", "created_at": moment.isoformat(), "deadline": moment.isoformat()}
    lease: dict[str, Any] = {"lease_id": "l1", "lease_seconds": 9}
    pair = {"account_id": "u1", "entitlement_id": "g1"}
    answers = [{"tasks": [one], "flags": {"read_only": True}} for one in ({**task, **lease, **pair}, {**task, **lease})]
    respx.post(API + "/integrations/i1/tasks/lease").mock(
        side_effect=[httpx.Response(200, json=answer) for answer in answers]
    )

    assert client.lease_tasks("i1", LEASE) == wire.LeaseAnswer(
        tasks=(
            wire.Task(
                **{"id": "t1", "kind": "grant", "created_at": moment, "deadline": moment, **pair},
                **lease,
            ),
        ),
        flags=wire.Flags(read_only=True),
    )
    assert client.lease_tasks("i1", LEASE) == wire.LeaseAnswer(
        unusable=(wire.UnusableTask(id="t1", lease_id="l1", field="the whole"),), flags=wire.Flags(read_only=True)
    )


@respx.mock
def test_unknown_sync_has_no_status_and_other_unknown_things_are_errors(
    client: PlatformClient,
) -> None:
    respx.get(API + "/integrations/i1/syncs/s1").mock(return_value=problem("sync_unknown"))
    respx.get(API + "/integrations/i2/syncs/s1").mock(return_value=problem("integration_unknown"))

    assert client.sync_status("i1", "s1") is None
    with pytest.raises(UnknownIntegrationError):
        client.sync_status("i2", "s1")


@respx.mock
def test_rejected_lines_are_named_in_a_short_message(client: PlatformClient) -> None:
    errors = [{"line": number, "reason": "id: Field required " * 20} for number in range(1, 51)]
    respx.put(BATCH).mock(return_value=problem("lines_rejected", errors=errors))

    with pytest.raises(PlatformRejectedError) as caught:
        client.put_batch("i1", "s1", 1, wire.pack([]))

    assert "Line 1: id: Field required" in str(caught.value)
    assert len(str(caught.value)) < 500
    assert len(caught.value.problem.errors) == 50


@respx.mock
@pytest.mark.parametrize("answer", [httpx.Response(418), httpx.Response(418, text="<html>" * 10_000)])
def test_rejection_without_a_problem_body_has_a_message(client: PlatformClient, answer: httpx.Response) -> None:
    respx.get(API + "/integrations").mock(return_value=answer)

    with pytest.raises(PlatformRejectedError) as caught:
        client.integrations()

    assert str(caught.value) == "Ploy rejected GET /base/connector/v1/integrations: status 418"


@respx.mock
@pytest.mark.parametrize("body", ["<html>Welcome to the hotel's network</html>", '{"integrations": 5}', ""])
def test_answer_that_violates_the_contract_is_reported(client: PlatformClient, body: str) -> None:
    respx.get(API + "/integrations").mock(return_value=httpx.Response(200, text=body))

    with pytest.raises(PlatformUnavailableError, match="violates the contract") as caught:
        client.integrations()

    assert "hotel" not in str(caught.value)


@respx.mock
def test_redirect_is_not_followed(client: PlatformClient) -> None:
    elsewhere = respx.get("https://elsewhere.example/").mock(return_value=OK)
    respx.get(API + "/integrations").mock(
        return_value=httpx.Response(307, headers={"location": "https://elsewhere.example/"})
    )

    with pytest.raises(PlatformRejectedError, match="redirects"):
        client.integrations()

    assert not elsewhere.called


@respx.mock
def test_token_file_is_read_again_once_after_a_401(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "token"
    file.write_text("old")
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        assert len(seen) < 4
        seen.append(request.headers["authorization"])
        if seen[-1] == "Bearer new":
            return OK
        file.write_text("new" if len(seen) == 1 else f"other-{random.random()}")
        return problem("token_rejected")

    respx.get(API + "/integrations").mock(side_effect=answer)

    with PlatformClient(URL, TokenSource(file=file), retry=clock.retry()) as client:
        assert client.integrations() == NONE
    assert (seen, clock.waits) == (["Bearer old", "Bearer new"], [])

    file.write_text("wrong")
    with PlatformClient(URL, TokenSource(file=file), retry=clock.retry()) as client:
        with pytest.raises(TokenRejectedError):
            client.integrations()
    assert len(seen) == 4


@respx.mock
def test_rejected_token_is_not_sent_again(client: PlatformClient) -> None:
    route = respx.get(API + "/integrations").mock(return_value=problem("token_rejected"))

    with pytest.raises(TokenRejectedError):
        client.integrations()

    assert route.call_count == 1


@respx.mock
def test_id_cannot_leave_its_place_in_the_path(client: PlatformClient) -> None:
    route = respx.route().mock(return_value=httpx.Response(200, json={}))

    with pytest.raises(PlatformError):
        client.sync_status("../x?y=1", "a/b")
    with pytest.raises(PlatformError):
        client.complete_task("i", "a/../b?", DONE)

    assert [call.request.url.raw_path for call in route.calls] == [
        b"/base/connector/v1/integrations/..%2Fx%3Fy%3D1/syncs/a%2Fb",
        b"/base/connector/v1/integrations/i/tasks/a%2F..%2Fb%3F/complete",
    ]


@respx.mock
def test_no_error_and_no_log_contains_the_token(client: PlatformClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    respx.get(API + "/integrations").mock(
        side_effect=[httpx.ConnectError("no"), problem("token_rejected", detail="why")]
    )

    with pytest.raises(TokenRejectedError) as caught:
        client.integrations()

    assert TOKEN not in f"{caplog.text} {caught.value!r} {caught.value.__context__!r} {client!r}"


def test_idle_connection_is_closed_before_a_server_closes_it(client: PlatformClient) -> None:
    transports = [each for each in (client._http._transport, *client._http._mounts.values()) if each is not None]
    for transport in transports:
        assert isinstance(transport, httpx.HTTPTransport)
        expiry = transport._pool._keepalive_expiry
        assert expiry is not None
        assert expiry < uvicorn.Config("").timeout_keep_alive


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """A server that opens no tunnel and knows of no integrations; gives its port and the requests that it had."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            seen.append(self.requestline)
            self.send_error(403)

        def do_GET(self) -> None:
            seen.append(self.requestline)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(OK.content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server.server_port, seen
        server.shutdown()
        thread.join()


def test_proxies_of_the_environment_are_used_except_on_loopback(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    with listening() as (proxy_port, at_proxy), listening() as (port, at_platform):
        for name in ("HTTPS_PROXY", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy_port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        token = TokenSource(token=SecretStr(TOKEN))

        for host in ("127.0.0.1", "localhost"):
            with PlatformClient(f"http://{host}:{port}", token) as client:
                assert client.integrations() == NONE
        assert (len(at_platform), at_proxy) == (2, [])

        with PlatformClient("https://ploy.example", token, retry=clock.retry(max_attempts=1)) as client:
            with pytest.raises(PlatformUnavailableError):
                client.integrations()
        assert (len(at_platform), at_proxy) == (2, ["CONNECT ploy.example:443 HTTP/1.1"])


def test_invalid_proxy_settings_are_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:s3cret@proxy.example")

    with pytest.raises(ConfigurationError, match="proxy or certificate") as caught:
        PlatformClient("https://ploy.example", TokenSource(token=SecretStr(TOKEN)))

    assert "s3cret" not in str(caught.value)
