"""Reads raw HTTP requests: the service, operation, Region and parameters, and whether the signature is valid."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .access_denied import AwsError, ErrorKind, common_error


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came over the wire; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Service:
    """One AWS service: its boto3 name, IAM action prefix and protocol."""

    name: str
    prefix: str
    protocol: str


# By the service in the credential scope: all services come to one endpoint.
SERVICES: Mapping[str, Service] = {
    "sts": Service("sts", "sts", "query"),
    "iam": Service("iam", "iam", "query"),
    "identitystore": Service("identitystore", "identitystore", "json"),
    "sso": Service("sso-admin", "sso", "json"),
    "s3": Service("s3", "s3", "rest-xml"),
    "dynamodb": Service("dynamodb", "dynamodb", "json"),
    "sqs": Service("sqs", "sqs", "sqs"),
    "lambda": Service("lambda", "lambda", "rest-json"),
    "rds": Service("rds", "rds", "query"),
    "ec2": Service("ec2", "ec2", "ec2"),
    "ecs": Service("ecs", "ecs", "json"),
    "organizations": Service("organizations", "organizations", "json"),
}

# The two that name no operation, but a method and a path.
REST_OPERATIONS: Mapping[tuple[str, str, str], str] = {
    ("s3", "GET", "/"): "ListBuckets",
    ("lambda", "GET", "/2015-03-31/functions"): "ListFunctions",
}
_REST_PARAMETERS: Mapping[str, str] = {
    "max-buckets": "MaxBuckets",
    "continuation-token": "ContinuationToken",
    "prefix": "Prefix",
    "bucket-region": "BucketRegion",
}

# The one action that is not named as its call.
ACTIONS: Mapping[str, str] = {"s3:ListBuckets": "s3:ListAllMyBuckets"}

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/,]+)/(?P<scope>[^/,]+)/aws4_request,"
    r"\s*SignedHeaders=(?P<headers>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Signature:
    """The claims of an Authorization header."""

    access_key_id: str
    region: str
    scope: str
    signed_headers: tuple[str, ...]
    value: str


@dataclass(frozen=True)
class ApiRequest:
    """One call, before it is authorized."""

    service: Service
    operation: str
    region: str
    parameters: Mapping[str, Any]
    signature: Signature

    @property
    def action(self) -> str:
        """The IAM action, such as `identitystore:ListUsers`."""
        action = f"{self.service.prefix}:{self.operation}"
        return ACTIONS.get(action, action)

    @property
    def protocol(self) -> str:
        """`json`, `query`, `ec2`, `rest-json`, `rest-xml`, or `sqs`: JSON with the codes of query."""
        return self.service.protocol


def to_api_request(request: HttpRequest) -> ApiRequest:
    """Parses the call of a request.

    Raises:
        AwsError: unsigned or unreadable.
    """
    signature = to_signature(request)
    speaks_json = "x-amz-target" in request.headers
    unknown = Service(signature.scope, signature.scope, "json" if speaks_json else "query")
    service = SERVICES.get(signature.scope, unknown)
    operation, parameters = _READERS.get(service.protocol, _read_query)(request, service)
    return ApiRequest(service, operation, signature.region, parameters, signature)


def _read_json(request: HttpRequest, _: Service) -> tuple[str, dict[str, Any]]:
    return request.headers.get("x-amz-target", "").rpartition(".")[2], _from_json(request.body)


def _read_query(request: HttpRequest, _: Service) -> tuple[str, dict[str, Any]]:
    flat = dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    operation = flat.pop("Action", f"{request.method} {request.target}")
    flat.pop("Version", None)
    return operation, from_query(flat)


def _read_rest(request: HttpRequest, service: Service) -> tuple[str, dict[str, Any]]:
    target = urlsplit(request.target)
    named = dict(parse_qsl(target.query, keep_blank_values=True))
    named.pop("x-id", None)
    path = target.path.rstrip("/") or "/"
    operation = REST_OPERATIONS.get((service.name, request.method, path), f"{request.method} {path}")
    return operation, {_REST_PARAMETERS.get(name, name): value for name, value in named.items()}


_READERS: Mapping[str, Callable[[HttpRequest, Service], tuple[str, dict[str, Any]]]] = {
    "json": _read_json,
    "sqs": _read_json,
    "rest-json": _read_rest,
    "rest-xml": _read_rest,
}


def to_signature(request: HttpRequest) -> Signature:
    """Reads the Authorization header.

    Raises:
        AwsError: there is none, or it is not a Signature Version 4 one.
    """
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        protocol = "json" if "x-amz-target" in request.headers else "query"
        raise common_error(ErrorKind.MISSING_AUTHENTICATION, protocol)
    names = tuple(found["headers"].split(";"))
    return Signature(found["key"], found["region"], found["scope"], names, found["signature"])


def unsupported(what: str) -> AwsError:
    """The error for everything that the local AWS does not implement; 501, so that no client retries it."""
    return AwsError("NotKnownToTheSandbox", f"The local AWS does not know {what}.", 501)


def _from_json(body: bytes) -> dict[str, Any]:
    try:
        parameters = json.loads(body or b"{}")
    except ValueError:
        parameters = None
    if not isinstance(parameters, dict):
        raise AwsError("SerializationException", "The request body is not a JSON object.")
    return parameters


def from_query(flat: Mapping[str, str]) -> dict[str, Any]:
    """Query parameters as nested values: `Tags.member.1.Key` becomes `{"Tags": [{"Key": …}]}`.

    EC2 writes `Tag.1.Key`.
    """
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        node = tree
        for step in path:
            node = node.setdefault(step, {})
        node[last] = value
    nested = _lists(tree)
    assert isinstance(nested, dict)
    return nested


def _lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if set(node) == {"member"}:
        return _lists(node["member"])
    if node and all(key.isdecimal() for key in node):
        return [_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _lists(value) for key, value in node.items()}


# Only Amazon S3 signs its paths unnormalised.
SIGNERS: dict[str, type[SigV4Auth]] = {"s3": S3SigV4Auth}
_HASHED_BY_CALLER = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})


def is_signed_with(request: HttpRequest, signature: Signature, secret_access_key: str) -> bool:
    """True if this request was signed with this secret, byte for byte.

    Unlike AWS, it does not check the age of the signature: the local AWS may have another clock.
    """
    if not {"host", "x-amz-date"} <= set(signature.signed_headers) & request.headers.keys():
        return False
    claimed = request.headers.get("x-amz-content-sha256")
    if claimed and claimed not in _HASHED_BY_CALLER and claimed != hashlib.sha256(request.body).hexdigest():
        return False
    headers = {name: request.headers.get(name, "") for name in signature.signed_headers}
    if claimed:
        headers["x-amz-content-sha256"] = claimed
    url = f"http://{request.headers.get('host', '')}{request.target}"
    signed = AWSRequest(method=request.method, url=url, headers=headers, data=request.body)
    signed.context["timestamp"] = request.headers["x-amz-date"]
    credentials = Credentials(signature.access_key_id, secret_access_key)
    signer = SIGNERS.get(signature.scope, SigV4Auth)(credentials, signature.scope, signature.region)
    expected = signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
    return hmac.compare_digest(str(expected), signature.value)
