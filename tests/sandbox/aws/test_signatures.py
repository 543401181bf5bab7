"""Who is calling is proven by signature, and told in each protocol's own codes."""

from __future__ import annotations

import contextlib
import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ploy_connector_aws.sandbox.aws import SandboxAws
from tests.sandbox.aws.conftest import Clock
from tests.sandbox.aws.customer import REGION, Customer, Denied, refusal

INVALID = "The security token included in the request is invalid."
EXPIRED = "The security token included in the request is expired"
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details."
)
UNKNOWN = {"aws_access_key_id": "AKIAIOSFODNN7EXAMPLE", "aws_secret_access_key": "x" * 40}
CODES = [
    ("identitystore", "list_users", {"IdentityStoreId": "d-1234567890"}, 400, "UnrecognizedClientException"),
    ("sso-admin", "list_instances", {}, 400, "UnrecognizedClientException"),
    ("iam", "list_users", {}, 403, "InvalidClientTokenId"),
    ("sts", "get_caller_identity", {}, 403, "InvalidClientTokenId"),
]
BAD = {400: "InvalidSignatureException", 403: "SignatureDoesNotMatch"}
LATE = {400: "ExpiredTokenException", 403: "ExpiredToken"}
each_service = pytest.mark.parametrize(("service", "operation", "parameters", "status", "code"), CODES)


@each_service
def test_a_key_nobody_made_is_unknown(
    customer: Customer, service: str, operation: str, parameters: Any, status: int, code: str
) -> None:
    client = customer.client(service, UNKNOWN)
    assert refusal(getattr(client, operation), **parameters) == Denied(code, status, INVALID)


@each_service
def test_a_wrong_secret_is_a_bad_signature(
    customer: Customer, service: str, operation: str, parameters: Any, status: int, code: str
) -> None:
    client = customer.client(service, {**customer.ploy, "aws_secret_access_key": "x" * 40})
    assert refusal(getattr(client, operation), **parameters) == Denied(BAD[status], status, MISMATCH)


@each_service
def test_a_session_without_its_token_or_with_another_is_unknown(
    customer: Customer, service: str, operation: str, parameters: Any, status: int, code: str
) -> None:
    good = customer.assume(customer.role())
    without = {name: value for name, value in good.items() if name != "aws_session_token"}
    for credentials in (without, {**good, "aws_session_token": "another"}):
        client = customer.client(service, credentials)
        assert refusal(getattr(client, operation), **parameters) == Denied(code, status, INVALID)


@each_service
def test_a_session_ends_by_the_clock_of_the_local_aws(
    customer: Customer, clock: Clock, service: str, operation: str, parameters: Any, status: int, code: str
) -> None:
    client = customer.session(service, DurationSeconds=900)
    clock.pass_time(899)
    assert recorded_errors(customer.aws, client, operation, parameters) != [LATE[status]]
    clock.pass_time(1)
    assert refusal(getattr(client, operation), **parameters) == Denied(LATE[status], status, EXPIRED)


def test_a_key_of_a_users_own_has_no_token(customer: Customer) -> None:
    client = customer.client("sts", {**customer.ploy, "aws_session_token": "made up"})
    assert refusal(client.get_caller_identity) == Denied("InvalidClientTokenId", 403, INVALID)


def test_the_session_of_a_deleted_role_is_worth_nothing(customer: Customer) -> None:
    role = customer.role()
    client = customer.client("sts", customer.assume(role))
    assert client.get_caller_identity()["Account"] == customer.account_id
    customer.aws.accounts.delete_role(role)
    assert refusal(client.get_caller_identity) == Denied("InvalidClientTokenId", 403, INVALID)


TAMPERED: dict[str, Any] = {
    "body": lambda headers, body: (headers, body.replace(b"GetCallerIdentity", b"getCallerIdentity")),
    "signed header": lambda headers, body: ({**headers, "x-ploy": "other"}, body),
    "region": lambda headers, body: (
        {**headers, "Authorization": headers["Authorization"].replace(REGION, "eu-west-2")},
        body,
    ),
    "date": lambda headers, body: ({**headers, "X-Amz-Date": "20261124T000000Z"}, body),
    "nothing": lambda headers, body: (headers, body),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_a_signed_request_cannot_be_changed_in_transit(customer: Customer, what: str) -> None:
    host = urlsplit(customer.aws.endpoint_url).netloc
    body = b"Action=GetCallerIdentity&Version=2011-06-15"
    headers = {"content-type": "application/x-www-form-urlencoded", "host": host, "x-ploy": "one  value"}
    signed = AWSRequest("POST", f"http://{host}/?b=2&a=%2F1", headers, body)
    key = customer.aws.caller_credentials
    SigV4Auth(Credentials(key.access_key_id, key.secret_access_key), "sts", REGION).add_auth(signed)
    sent_headers, sent_body = TAMPERED[what](dict(signed.headers.items()), body)
    assert post(host, "/?b=2&a=%2F1", sent_body, sent_headers) == (200 if what == "nothing" else 403)


def test_an_unsigned_request_gets_the_error_for_it(aws: SandboxAws) -> None:
    host = urlsplit(aws.endpoint_url).netloc
    assert post(host, "/", b"Action=GetCallerIdentity", {}) == 403
    assert post(host, "/", b"{}", {"X-Amz-Target": "AWSIdentityStore.ListUsers"}) == 400


def post(host: str, target: str, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(host)
    connection.request("POST", target, body, headers)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def recorded_errors(aws: SandboxAws, client: Any, operation: str, parameters: Any) -> list[str | None]:
    """The error codes of one call, whatever it was answered with."""
    aws.calls.clear()
    with contextlib.suppress(client.exceptions.ClientError):
        getattr(client, operation)(**parameters)
    return [call.error_code for call in aws.calls]
