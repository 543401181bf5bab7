"""The client's bytes on the wire match the fixtures, and the fixtures match ``docs/platform-api.yaml``."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ploy_connector_aws.platform.auth import TokenSource
from ploy_connector_aws.platform.client import PlatformClient
from ploy_connector_aws.platform.errors import REFUSALS, PlatformError
from ploy_connector_aws.platform.retry import RETRIED_STATUSES, RetryPolicy
from tests.platform import json_schema, wire_fixtures
from tests.platform.wire_bodies import NOW, TOKEN
from tests.platform.wire_requests import SENT
from tests.platform.wire_results import RAISED, RETURNED
from tests.yaml_files import read_yaml

DOCUMENT = read_yaml(Path(__file__).parents[2] / "docs" / "platform-api.yaml")
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
RESPONSES = wire_fixtures.names("response")
REQUESTS = wire_fixtures.names("request")
NOT_FROM_THE_CLIENT = {"put_batch.digest_mismatch", "put_batch.not_gzip_ndjson"}
"""Requests that a runtime never sends and the platform rejects."""
NOT_SENT = {
    "Account.mfa 'unknown'",
    "Account.status 'unknown'",
    "Problem.type",
    "RecordKey.type 'finding'",
    "TaskStatus.state 'leased'",
    "TaskStatus.state 'queued'",
}
"""Defaults, which a batch and a problem leave out, the states that no report of a task leads to, and a finding about a
finding."""
PROXY_STATUSES = RETRIED_STATUSES - {503}
"""Statuses that the client retries and no call of the document answers."""


def exchange(name: str, answer: str) -> tuple[object, wire_fixtures.Message]:
    """Make the call of a request with a response of the fixtures; return its result or error, and what was sent."""
    sent: list[httpx.Request] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        response = wire_fixtures.read(answer, "response")
        return httpx.Response(int(response.start.split()[1]), headers=response.headers, content=response.body)

    with PlatformClient(
        "https://ploy.example",
        TokenSource(token=SecretStr(TOKEN)),
        transport=httpx.MockTransport(respond),
        retry=RetryPolicy(max_attempts=1, now=lambda: NOW),
    ) as client:
        try:
            result: object = SENT[name](client)
        except PlatformError as error:
            result = error
    (request,) = sent
    return result, wire_fixtures.from_request(request)


@pytest.mark.parametrize("name", SENT)
def test_client_sends_each_request_byte_for_byte(name: str) -> None:
    _, sent = exchange(name, name)

    wire_fixtures.require_same(name, "request", sent)


@pytest.mark.parametrize("name", RETURNED)
def test_client_reads_each_response(name: str) -> None:
    result, _ = exchange(name.partition(".")[0], name)

    assert result == RETURNED[name]


@pytest.mark.parametrize("name", RAISED)
def test_client_reads_each_error_response(name: str) -> None:
    error, _ = exchange(name.partition(".")[0], name)

    assert (type(error), vars(error)) == (type(RAISED[name]), vars(RAISED[name]))


def test_digest_of_one_batch_is_fixed_and_the_others_are_computed() -> None:
    fixed = {
        name
        for name in REQUESTS
        if wire_fixtures.read(name, "request").headers.get("content-digest", wire_fixtures.DIGEST_OF_BODY)
        != wire_fixtures.DIGEST_OF_BODY
    }

    assert fixed - NOT_FROM_THE_CLIENT == {"put_batch"}


def test_every_call_of_the_document_has_a_fixture_and_every_fixture_a_call() -> None:
    called = defaultdict(set)
    for name in REQUESTS:
        called[operation_of(name)["operationId"]].add(name)

    assert {operation["operationId"] for operation in OPERATIONS.values()} == called.keys()
    assert all(name in names for name, names in called.items()), "each call has a request of its own name"
    assert {*SENT, *NOT_FROM_THE_CLIENT} == set(REQUESTS)
    assert {*RETURNED, *RAISED} == set(RESPONSES)
    assert {wire_fixtures.request_of(name) for name in RESPONSES} == set(REQUESTS)


def test_folder_holds_nothing_but_fixtures() -> None:
    files = {
        f"{name}.{kind}.http" for kind, names in [("request", REQUESTS), ("response", RESPONSES)] for name in names
    }

    assert {path.name for path in wire_fixtures.FOLDER.iterdir()} == files


def test_every_status_and_every_code_that_the_client_distinguishes_has_a_fixture() -> None:
    documented = {status for operation in OPERATIONS.values() for status in operation["responses"]}
    fixtures = [wire_fixtures.read(name, "response") for name in RESPONSES]
    statuses = {response.start.removeprefix("HTTP/1.1 ") for response in fixtures}

    assert statuses == documented | {str(status) for status in PROXY_STATUSES}
    assert {json.loads(response.body).get("code") for response in fixtures} >= REFUSALS.keys()


@pytest.mark.parametrize("name", REQUESTS)
def test_requests_fit_the_document(name: str) -> None:
    request, operation = wire_fixtures.read(name, "request"), operation_of(name)

    if "requestBody" not in operation:
        assert (request.body, request.headers.get("content-type")) == (b"", None)
        return
    media_type, schema, values = body_of(request, operation["requestBody"])
    if name not in NOT_FROM_THE_CLIENT:
        assert request.headers["content-type"] == media_type
    assert [error for value in values for error in json_schema.errors(value, schema, SCHEMAS)] == []
    headers = [each for each in operation.get("parameters", []) if each["in"] == "header"]
    for each in headers:
        assert list(json_schema.errors(request.headers[each["name"].lower()], each["schema"], SCHEMAS)) == []
    assert len(headers) == sum(name.startswith("content-") and name != "content-type" for name in request.headers)


@pytest.mark.parametrize("name", RESPONSES)
def test_responses_fit_the_document(name: str) -> None:
    response = wire_fixtures.read(name, "response")

    media_type, schema, (value,) = body_of(response, documented_response(name))
    assert response.headers["content-type"] == media_type
    assert list(json_schema.errors(value, schema, SCHEMAS)) == []
    if media_type == "application/problem+json":
        assert response.start == f"HTTP/1.1 {value['status']}"
        assert name.endswith(f".{value.get('code', value['status'])}")
        assert "code" not in value or f"`{value['code']}`: {value['title']}" in documented_response(name)["description"]


def test_every_property_and_every_listed_value_of_the_document_is_in_a_fixture() -> None:
    bodies = [
        body_of(wire_fixtures.read(name, "request"), operation_of(name)["requestBody"])
        for name in REQUESTS
        if "requestBody" in operation_of(name)
    ]
    bodies += [body_of(wire_fixtures.read(name, "response"), documented_response(name)) for name in RESPONSES]

    named = {part for name, schema in SCHEMAS.items() for part in json_schema.parts_of(schema, name)}
    found = {
        part
        for _, schema, values in bodies
        for value in values
        for part in json_schema.parts_in(value, schema, SCHEMAS)
    }
    assert named - found == NOT_SENT


def operation_of(request: str) -> dict[str, Any]:
    """Return the operation of the document that a request is one of; fail where none or several are."""
    method, target, version = wire_fixtures.read(request, "request").start.split(" ")
    assert version == "HTTP/1.1"
    (found,) = (
        operation
        for (known, path), operation in OPERATIONS.items()
        if known == method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), target.partition("?")[0])
    )
    operation: dict[str, Any] = found
    return operation


def documented_response(name: str) -> dict[str, Any]:
    """Return what the document has of a response. Of what only a proxy answers it has nothing: that is any problem."""
    responses = operation_of(wire_fixtures.request_of(name))["responses"]
    status = wire_fixtures.read(name, "response").start.removeprefix("HTTP/1.1 ")
    found: dict[str, Any] = responses[status] if int(status) not in PROXY_STATUSES else responses["503"]
    return found


def body_of(message: wire_fixtures.Message, documented: dict[str, Any]) -> tuple[str, dict[str, Any], list[Any]]:
    """Return the documented media type of a body, the schema of its values, and these: one, or one of each line."""
    ((media_type, content),) = documented["content"].items()
    if media_type == "application/x-ndjson":
        return media_type, content["x-ploy-line-schema"], [json.loads(line) for line in message.body.split(b"\n")[:-1]]
    return media_type, content["schema"], [json.loads(message.body)]
