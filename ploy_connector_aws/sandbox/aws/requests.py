"""What a request asks: the service, the operation, the Region and the parameters, read from raw HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from ploy_connector_aws.sandbox.aws.denials import AwsError, Refusal, refused


@dataclass(frozen=True)
class HttpRequest:
    """A request as it came over the wire; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Service:
    """How one AWS service is spoken to: its boto3 name, IAM action prefix and protocol."""

    name: str
    prefix: str
    protocol: str


# By the service in the credential scope: all services come to one endpoint.
SERVICES: Mapping[str, Service] = {
    "sts": Service("sts", "sts", "query"),
    "iam": Service("iam", "iam", "query"),
    "identitystore": Service("identitystore", "identitystore", "json"),
    "sso": Service("sso-admin", "sso", "json"),
}

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
class Asked:
    """One call, before anybody decided whether it is allowed."""

    service: Service
    operation: str
    region: str
    parameters: Mapping[str, Any]
    signature: Signature

    @property
    def action(self) -> str:
        """The IAM action, such as `identitystore:ListUsers`."""
        return f"{self.service.prefix}:{self.operation}"

    @property
    def protocol(self) -> str:
        """`json` or `query`."""
        return self.service.protocol


def to_asked(request: HttpRequest) -> Asked:
    """Reads the call out of a request.

    Raises:
        AwsError: unsigned or unreadable.
    """
    signature = to_signature(request)
    speaks_json = "x-amz-target" in request.headers
    unknown = Service(signature.scope, signature.scope, "json" if speaks_json else "query")
    service = SERVICES.get(signature.scope, unknown)
    if service.protocol == "json":
        operation = request.headers.get("x-amz-target", "").rpartition(".")[2]
        parameters = _from_json(request.body)
    else:
        flat = dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
        operation = flat.pop("Action", f"{request.method} {request.target}")
        flat.pop("Version", None)
        parameters = from_query(flat)
    return Asked(service, operation, signature.region, parameters, signature)


def to_signature(request: HttpRequest) -> Signature:
    """Reads the Authorization header.

    Raises:
        AwsError: there is none, or it is not a Signature Version 4 one.
    """
    found = _AUTHORIZATION.fullmatch(request.headers.get("authorization", ""))
    if found is None:
        protocol = "json" if "x-amz-target" in request.headers else "query"
        raise refused(Refusal.MISSING_AUTHENTICATION, protocol)
    names = tuple(found["headers"].split(";"))
    return Signature(found["key"], found["region"], found["scope"], names, found["signature"])


def not_known(what: str) -> AwsError:
    """The loud answer to what the local AWS was never taught; 501, so that no client retries it."""
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
    """Query parameters as nested values: `Tags.member.1.Key` becomes `{"Tags": [{"Key": …}]}`."""
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
        members = node["member"]
        return [_lists(members[key]) for key in sorted(members, key=int)]
    return {key: _lists(value) for key, value in node.items()}
