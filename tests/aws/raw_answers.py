"""Answers of AWS byte by byte: a good one of each operation, twenty and more kinds of spoiling it, and a server."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SECRET = "wJalrXUtnFEMIK7MDENGbPxRfiCYsecretOfTheSession"
REQUEST_ID = "0d3c7a55-7d3b-4f5e-9f3a-1d5a6b7c8d9e"
_ROLE_ID = "AROA3XFRBF535PLBIFPI4:ploy"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def _wrapped(operation: str, result: str) -> str:
    return (
        f'<{operation}Response xmlns="https://example.amazonaws.com/doc/2010-05-08/"><{operation}Result>{result}'
        f"</{operation}Result><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>"
        f"</{operation}Response>"
    )


def _of_ec2(operation: str, result: str) -> str:
    return (
        f'<{operation}Response xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>{REQUEST_ID}</requestId>'
        f"{result}</{operation}Response>"
    )


_STATUS = {"Status": "SUCCEEDED", "RequestId": REQUEST_ID}
_MEMBERSHIP = {"MembershipId": "m-1", "IdentityStoreId": "d-1234567890"}

GOOD: dict[str, Mapping[str, object] | str] = {
    "dynamodb:ListTables": {"TableNames": ["orders"]},
    "ecs:DescribeClusters": {"clusters": [{"clusterName": "web"}], "failures": []},
    "ecs:ListClusters": {"clusterArns": ["arn:aws:ecs:eu-central-1:123456789012:cluster/web"]},
    "ecs:ListTagsForResource": {"tags": [{"key": "team", "value": "web"}]},
    "identitystore:CreateGroupMembership": _MEMBERSHIP,
    "identitystore:DeleteGroupMembership": {},
    "identitystore:DescribeUser": {"UserId": "u-1", "IdentityStoreId": "d-1234567890", "Emails": []},
    "identitystore:GetGroupMembershipId": _MEMBERSHIP,
    "identitystore:ListGroupMemberships": {"GroupMemberships": [_MEMBERSHIP]},
    "identitystore:ListGroups": {"Groups": [{"GroupId": "g-1", "IdentityStoreId": "d-1234567890"}]},
    "identitystore:ListUsers": {"Users": [{"UserId": "u-1", "IdentityStoreId": "d-1234567890"}]},
    "lambda:ListFunctions": {"Functions": [{"FunctionName": "resize"}]},
    "sqs:ListQueues": {"QueueUrls": ["https://sqs.eu-central-1.amazonaws.com/123456789012/in"]},
    "sso-admin:CreateAccountAssignment": {"AccountAssignmentCreationStatus": _STATUS},
    "sso-admin:DeleteAccountAssignment": {"AccountAssignmentDeletionStatus": _STATUS},
    "sso-admin:DescribeAccountAssignmentCreationStatus": {"AccountAssignmentCreationStatus": _STATUS},
    "sso-admin:DescribeAccountAssignmentDeletionStatus": {"AccountAssignmentDeletionStatus": _STATUS},
    "sso-admin:DescribePermissionSet": {"PermissionSet": {"Name": "Reader"}},
    "sso-admin:ListAccountAssignmentsForPrincipal": {"AccountAssignments": [{"PrincipalId": "u-1"}]},
    "sso-admin:ListCustomerManagedPolicyReferencesInPermissionSet": {"CustomerManagedPolicyReferences": []},
    "sso-admin:ListInstances": {"Instances": [{"IdentityStoreId": "d-1234567890"}]},
    "sso-admin:ListManagedPoliciesInPermissionSet": {"AttachedManagedPolicies": [{"Name": "ReadOnlyAccess"}]},
    "sso-admin:ListAccountAssignments": {"AccountAssignments": [{"PrincipalId": "u-1"}]},
    "sso-admin:ListAccountsForProvisionedPermissionSet": {"AccountIds": ["111122223333"]},
    "sso-admin:ListPermissionSets": {"PermissionSets": ["arn:aws:sso:::permissionSet/ssoins-1/ps-1"]},
    "ec2:DescribeInstances": _of_ec2(
        "DescribeInstances", "<reservationSet><item><reservationId>r-1</reservationId></item></reservationSet>"
    ),
    "ec2:DescribeTags": _of_ec2("DescribeTags", "<tagSet><item><key>team</key><value>web</value></item></tagSet>"),
    "iam:GetAccountAuthorizationDetails": _wrapped(
        "GetAccountAuthorizationDetails",
        "<IsTruncated>false</IsTruncated><UserDetailList><member><UserName>ana</UserName></member></UserDetailList>"
        "<GroupDetailList/><RoleDetailList/><Policies/>",
    ),
    "iam:ListGroups": _wrapped("ListGroups", "<Groups><member><GroupName>all</GroupName></member></Groups>"),
    "iam:ListPolicies": _wrapped("ListPolicies", "<Policies><member><PolicyName>own</PolicyName></member></Policies>"),
    "iam:ListRoles": _wrapped("ListRoles", "<Roles><member><RoleName>app</RoleName></member></Roles>"),
    "iam:ListUsers": _wrapped("ListUsers", "<Users><member><UserName>ana</UserName></member></Users>"),
    "organizations:ListAccounts": {"Accounts": [{"Id": "123456789012", "Name": "Production"}]},
    "rds:DescribeDBInstances": _wrapped(
        "DescribeDBInstances",
        "<DBInstances><DBInstance><DBInstanceIdentifier>main</DBInstanceIdentifier></DBInstance></DBInstances>",
    ),
    "rds:ListTagsForResource": _wrapped("ListTagsForResource", "<TagList><Tag><Key>a</Key></Tag></TagList>"),
    "s3:ListBuckets": '<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Buckets><Bucket>'
    "<Name>logs</Name></Bucket></Buckets></ListAllMyBucketsResult>",
    "sts:AssumeRole": _wrapped(
        "AssumeRole",
        "<Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>"
        f"<SecretAccessKey>{SECRET}</SecretAccessKey><SessionToken>token-{SECRET}</SessionToken>"
        "<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>"
        f"<AssumedRoleUser><AssumedRoleId>{_ROLE_ID}</AssumedRoleId><Arn>arn:aws:sts::1:role/x</Arn></AssumedRoleUser>",
    ),
    "sts:GetCallerIdentity": _wrapped("GetCallerIdentity", "<Account>123456789012</Account><UserId>AIDA</UserId>"),
}
"""By service and operation, as AWS's API references show it, with the least that there is in it."""


@dataclass(frozen=True)
class Reply:
    """An answer as it is sent."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"x-amzn-RequestId": REQUEST_ID})
    length: int | None = -1
    """The Content-Length; -1 for the right one, None for none: the end of the connection is the end of the body."""
    chunks: bytes | None = None
    """In place of the body, where it is sent in chunks."""
    is_reset: bool = False

    @property
    def ends_connection(self) -> bool:
        return self.length != -1 or self.chunks is not None

    def to_bytes(self) -> bytes:
        """The whole answer from the status line on."""
        headers = dict(self.headers)
        if self.chunks is not None:
            headers["Transfer-Encoding"] = "chunked"
        elif self.length is not None:
            headers["Content-Length"] = str(len(self.body) if self.length == -1 else self.length)
        if self.ends_connection:
            headers["Connection"] = "close"
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", *map(": ".join, headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + (self.body if self.chunks is None else self.chunks)


Spoil = Callable[[Reply], Reply]


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


def _body(text: str) -> Spoil:
    return lambda good: replace(good, body=text.encode())


def _in_json(change: Callable[[dict[str, object]], object]) -> Spoil:
    def spoil(good: Reply) -> Reply:
        document = json.loads(good.body)
        change(document)
        return replace(good, body=json.dumps(document).encode())

    return spoil


def _in_members(value: object) -> Spoil:
    """Put a value in place of each member; AWS's own answers have no such values in theirs."""
    return _in_json(lambda document: document.update(dict.fromkeys(document, value)))


def _in_xml(pattern: str, replacement: str) -> Spoil:
    return lambda good: replace(good, body=re.sub(pattern, replacement, good.body.decode(), flags=re.DOTALL).encode())


def _without_request_id(good: Reply) -> Reply:
    return replace(_in_xml(r"<(RequestId|requestId)>.*?</\1>", "")(good), headers={})


_HTML = "<!DOCTYPE html><html><head><title>Sign in</title></head><body><p>Welcome<br></body></html>"

FOR_ALL: dict[str, Spoil] = {
    "cut in the body": lambda good: replace(good, body=_half(good.body), length=len(good.body)),
    "cut before the body": lambda good: replace(good, body=b"", length=len(good.body)),
    "reset in the body": lambda good: replace(good, body=_half(good.body), length=len(good.body), is_reset=True),
    "cut without a length": lambda good: replace(good, body=_half(good.body), length=None),
    "length too large": lambda good: replace(good, length=len(good.body) + 1),
    "length too small": lambda good: replace(good, length=len(good.body) - 1),
    "empty without a length": lambda good: replace(good, body=b"", length=None),
    "no content": lambda good: replace(good, body=b"", status=204),
    "accepted": lambda good: replace(good, status=202),
    "partial content": lambda good: replace(good, status=206),
    "a redirection": lambda good: replace(good, status=302, headers={"Location": "/login"}, body=_HTML.encode()),
    "a page": _body(_HTML),
    "a well-formed page": _body("<html><body><p>Sign in</p></body></html>"),
    "truncated": lambda good: replace(good, body=_half(good.body)),
    "nothing but spaces": _body("  \n"),
    "no text": lambda good: replace(good, body=b"\xff\xfe\x00" * 9),
    "gzip": lambda good: replace(
        good, body=gzip.compress(good.body), headers={**good.headers, "Content-Encoding": "gzip"}
    ),
    "truncated gzip": lambda good: replace(
        good, body=gzip.compress(good.body)[:-9], headers={**good.headers, "Content-Encoding": "gzip"}
    ),
    "chunks without an end": lambda good: replace(good, chunks=_chunk(good.body)),
    "cut in a chunk": lambda good: replace(good, chunks=_chunk(good.body)[: len(good.body) // 2 + 3]),
    "a chunk's length that is no number": lambda good: replace(good, chunks=b"zz\r\n" + _chunk(good.body)),
    "foreign JSON": _body('{"status": "ok"}'),
    "a number": _body("0"),
    "nested without end": _body("[" * 100_000),
    "more after the end": lambda good: replace(good, body=good.body + b"<br>"),
    "an error": _body('{"__type": "InternalServerException", "message": "x"}'),
}
"""What no operation's answer looks like."""

FOR_JSON: dict[str, Spoil] = {
    "null": _body("null"),
    "a list": _body("[]"),
    "a text": _body('""'),
    **{
        f"{member} beside the rest": _in_json(lambda document, member=member: document.update({member: "x"}))  # type: ignore[misc]
        for member in ("__type", "message", "Message", "Error", "code")
    },
    "{}": _body("{}"),
    "empty": _body(""),
    "null in it": _in_members(None),
    "a text in it": _in_members(""),
    "an object in it": _in_members({}),
    "members of other names": _in_json(
        lambda document: document.update({f"New{name}": document.pop(name) for name in [*document]})
    ),
    "the answer of another operation": _body('{"Things": [], "Others": []}'),
}

FOR_XML: dict[str, Spoil] = {
    "{}": _body("{}"),
    "empty": _body(""),
    "the answer of another operation": _in_xml(r"(</?)(\w+)(Response|Result\b)", r"\1Other\2\3"),
    "no request ID": _without_request_id,
    "an error of Query": _body(
        f"<ErrorResponse><Error><Code>x</Code></Error><RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    ),
    "an error of EC2": _body("<Response><Errors><Error><Code>AuthFailure</Code></Error></Errors></Response>"),
    "an error of S3": _body("<Error><Code>AccessDenied</Code><Message>x</Message></Error>"),
    "nothing in it": _in_xml(r"<(\w+Result|reservationSet|tagSet|Buckets)( [^>]*)?>.*</\1>", r"<\1/>"),
    "text in it": _in_xml(
        r"<(reservationSet|tagSet|Buckets|DBInstances|TagList|Users|Groups|Roles|Policies|Credentials|UserDetailList)>"
        r".*?</\1>",
        r"<\1>text</\1>",
    ),
    "another member in it": _in_xml(
        r"<(reservationSet|tagSet|Buckets|DBInstances|TagList|Users|Groups|Roles|Policies|Credentials|Account)>.*</\1>"
        r"|<UserDetailList>.*<Policies/>",
        "<Strange/>",
    ),
}

EMPTY_ANSWERS = {
    ("ListQueues", "{}"),
    # So servers say that a thing has no tags.
    ("ListTagsForResource", "null in it"),
    ("DeleteGroupMembership", "{}"),
    # "An HTTP 200 response with an empty HTTP body", says the API reference of operations without output.
    ("DeleteGroupMembership", "empty"),
    ("DeleteGroupMembership", "null in it"),
    ("DeleteGroupMembership", "a text in it"),
    ("DeleteGroupMembership", "an object in it"),
    ("DeleteGroupMembership", "members of other names"),
    ("GetCallerIdentity", "text in it"),
    # In XML an empty element is an empty list.
    *((operation, "nothing in it") for operation in ("DescribeInstances", "DescribeTags")),
}
"""What is no spoiling, as AWS itself answers so."""


def forms_of(call: str) -> dict[str, Spoil]:
    """Other forms of the good answer of an operation, which must be taken."""
    forms: dict[str, Spoil] = {
        "chunks": lambda good: replace(good, chunks=_chunk(good.body) + b"0\r\n\r\n"),
        "no length": lambda good: replace(good, length=None),
        "white space": lambda good: replace(good, body=good.body + b"\n"),
    }
    if not isinstance(GOOD[call], str) and GOOD[call]:
        forms["a member that botocore does not know yet"] = _in_json(lambda body: body.update(NewMember={"code": "x"}))
    if not GOOD[call]:
        forms["empty"] = _body("")
    return forms


def good_reply(call: str) -> Reply:
    """The good answer of an operation, named as in ``identitystore:ListUsers``."""
    good = GOOD[call]
    return Reply((good if isinstance(good, str) else json.dumps(good)).encode())


def kinds_for(call: str) -> dict[str, Spoil]:
    """All kinds of spoiling the answer of an operation."""
    kinds = {**FOR_ALL, **(FOR_XML if isinstance(GOOD[call], str) else FOR_JSON)}
    return {name: spoil for name, spoil in kinds.items() if (call.partition(":")[2], name) not in EMPTY_ANSWERS}


@dataclass(frozen=True)
class Request:
    """A request of the connector."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def call(self) -> str:
        """What is called, as in ``identitystore:ListUsers``: each protocol names its operations in another place."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        signed_for = headers["authorization"].split("/")[3]
        in_body = re.search(rb"(?:^|&)Action=(\w+)", self.body)
        operation = in_body[1].decode() if in_body else headers.get("x-amz-target", "").rpartition(".")[2]
        return f"{_CLIENTS.get(signed_for, signed_for)}:{operation or _REST[signed_for]}"

    @property
    def attempt(self) -> int:
        """Which attempt at its call it is, as botocore says in a header."""
        found = re.search(r"attempt=(\d+)", self.headers["amz-sdk-request"])
        assert found is not None
        return int(found[1])


_CLIENTS = {"sso": "sso-admin"}
_REST = {"s3": "ListBuckets", "lambda": "ListFunctions"}


def forward(endpoint_url: str, request: Request) -> Reply:
    """Let the server behind answer."""
    connection = http.client.HTTPConnection(urlsplit(endpoint_url).netloc)
    # The Host header is part of the signature and goes through unchanged.
    connection.request(request.method, request.path, request.body, request.headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    own = ("content-length", "connection", "server", "date")
    headers = {name: value for name, value in response.getheaders() if name.lower() not in own}
    return Reply(body, response.status, headers)


@contextmanager
def serving(answer: Callable[[Request], Reply]) -> Iterator[str]:
    """Run a server on loopback that sends the answers that it is given; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            reply = answer(Request(self.command, self.path, dict(self.headers), body))
            self.wfile.write(reply.to_bytes())
            self.wfile.flush()
            if reply.is_reset:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.close_connection = reply.ends_connection

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: object) -> None:
            """A client that hangs up is no event."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
