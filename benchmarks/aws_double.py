"""A fast double of AWS for the benchmarks: canned rows, correct pages, rate limits and latency.

Run as ``python -m benchmarks.aws_double``, a process of its own; it prints its port. ``PUT /double`` with JSON sets
``Rules``, ``GET /double`` returns what was called since. It answers what a sync of Identity Center and IAM calls, and
nothing else.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import time
import urllib.parse
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from .organisations import Dataset

LARGEST_PAGE = {"iam": 1000}
"""100 elsewhere (AWS.md 1.1)."""

_SCOPE = re.compile(rb"Credential=[^/]+/\d+/([^/]+)/([^/]+)/aws4_request")
_LENGTH = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nX-Amz-Target: *\w+\.(\w+)", re.IGNORECASE)
_OPTIONAL = ("ListAccountsForProvisionedPermissionSet", "ListAccountAssignments")


class DoubleError(Exception):
    """An error that AWS answers with."""

    def __init__(self, code: str, message: str, status: int = 400, **members: str) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.members = code, message, status, members


@dataclass
class Rules:
    """How the double behaves."""

    dataset: str = ""
    """The path of a ``Dataset`` as JSON."""
    external_id: str = ""
    latency_seconds: float = 0.0
    calls_per_second: float = 0.0
    """Of each service, with a burst of as many calls; 0 means no limit."""
    allows_optional: bool = False
    """Whether the role has the optional permissions to list assignments by permission set."""


@dataclass
class TokenBucket:
    """A rate limit: so many calls a second, and after a pause as many at once."""

    rate: float
    tokens: float
    filled_at: float

    def take(self, now: float) -> bool:
        """Take a token; False where there is none."""
        self.tokens = min(self.rate, self.tokens + (now - self.filled_at) * self.rate)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


Rows = Sequence[Any]


class AwsDouble:
    """Answers calls from a dataset.

    Args:
        monotonic: The clock of the rate limits.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.rules = Rules()
        self._use(Dataset())

    def set_rules(self, rules: Rules) -> None:
        """Take these rules; counts and rate limits begin again."""
        if rules.dataset != self.rules.dataset:
            self._use(Dataset(**json.loads(Path(rules.dataset).read_text())))
        self.rules = rules
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self._times: defaultdict[str, list[float]] = defaultdict(list)
        self.throttled = 0
        self._buckets: dict[str, TokenBucket] = {}

    def _use(self, data: Dataset) -> None:
        self._data = data
        self._users = {each["UserId"] for each in data.users}
        groups_of = defaultdict(list)
        for group, users in data.members.items():
            for user in users:
                groups_of[user].append(group)
        by_principal, by_pair = defaultdict(list), defaultdict(list)
        accounts: dict[str, dict[str, None]] = defaultdict(dict)
        for account_id, arn, kind, principal in data.assignments:
            row = {"PrincipalType": kind, "PrincipalId": principal, "PermissionSetArn": arn, "AccountId": account_id}
            by_principal[kind, principal].append(row)
            by_pair[account_id, arn].append(row)
            accounts[arn][account_id] = None
        self._groups_of, self._by_principal, self._by_pair, self._accounts = groups_of, by_principal, by_pair, accounts

    def report(self) -> dict[str, Any]:
        """Return what was called since the rules were set, and when, by service and in seconds of one clock."""
        counts = Counter(f"{service}:{operation}" for service, operation, _ in self.calls)
        return {"calls": self.calls, "counts": counts, "throttled": self.throttled, "times": self._times}

    def answer(self, service: str, operation: str, parameters: dict[str, Any]) -> tuple[int, str, bytes]:
        """Answer a call: status, content type, body."""
        is_query = service in ("sts", "iam")
        try:
            self._count(service, operation, parameters)
            result = self._operation(service, operation)(service, operation, parameters)
        except DoubleError as error:
            if is_query:
                body = _to_error_xml(error)
            else:
                body = json.dumps({"__type": error.code, "message": error.message, **error.members}).encode()
            return error.status, "text/xml" if is_query else "application/x-amz-json-1.1", body
        if is_query:
            return 200, "text/xml", _to_xml(operation, result)
        return 200, "application/x-amz-json-1.1", json.dumps(result, separators=(",", ":")).encode()

    def _count(self, service: str, operation: str, parameters: dict[str, Any]) -> None:
        rate = self.rules.calls_per_second
        if rate and service != "sts":
            now = self._monotonic()
            bucket = self._buckets.setdefault(service, TokenBucket(rate, rate, now))
            if not bucket.take(now):
                self.throttled += 1
                raise DoubleError("ThrottlingException", "Rate exceeded")
        self.calls.append((service, operation, parameters))
        self._times[service].append(self._monotonic())

    def _operation(self, service: str, operation: str) -> Callable[[str, str, dict[str, Any]], dict[str, Any]]:
        if operation in _OPTIONAL and not self.rules.allows_optional:
            raise DoubleError("AccessDeniedException", f"not authorized to perform: sso:{operation}")
        found = (_OF_IAM if service == "iam" else _OPERATIONS).get(operation)
        if found is None:
            raise DoubleError("AccessDeniedException", f"not authorized to perform: {service}:{operation}", 403)
        return partial(found, self)

    def _page(self, service: str, operation: str, parameters: dict[str, Any], name: str, rows: Rows) -> dict[str, Any]:
        """Return one page, and a token of this operation where there are more rows."""
        size, after = ("MaxItems", "Marker") if service == "iam" else ("MaxResults", "NextToken")
        largest = LARGEST_PAGE.get(service, 100)
        limit = int(parameters.get(size, 100))
        if not 1 <= limit <= largest:
            raise DoubleError("ValidationException", f"{size} must be between 1 and {largest}")
        start = 0
        if after in parameters:
            named, _, place = base64.urlsafe_b64decode(parameters[after]).decode().partition("\n")
            if named != operation:
                raise DoubleError("ValidationException", f"The {after} is not valid for this operation.")
            start = int(place)
        page: dict[str, Any] = {name: list(rows[start : start + limit])}
        has_more = len(rows) > start + limit
        if service == "iam":
            page["IsTruncated"] = has_more
        if has_more:
            page[after] = base64.urlsafe_b64encode(f"{operation}\n{start + limit}".encode()).decode()
        return page

    def _assume_role(self, _: str, __: str, parameters: dict[str, Any]) -> dict[str, Any]:
        arn = parameters.get("RoleArn", "")
        if parameters.get("ExternalId") != self.rules.external_id:
            raise DoubleError("AccessDenied", f"User is not authorized to perform: sts:AssumeRole on {arn}", 403)
        return {
            "Credentials": {
                "AccessKeyId": "ASIADOUBLEDOUBLE0001",
                "SecretAccessKey": "double",
                "SessionToken": "double",
                "Expiration": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600)),
            },
            "AssumedRoleUser": {
                "AssumedRoleId": "AROADOUBLEDOUBLE0001:session",
                "Arn": f"{arn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')}/session",
            },
        }

    def _list_instances(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._page(service, operation, parameters, "Instances", [self._data.instance])

    def _list_users(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._page(service, operation, parameters, "Users", self._data.users)

    def _list_groups(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._page(service, operation, parameters, "Groups", self._data.groups)

    def _list_group_memberships(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        group, store = parameters["GroupId"], self._data.instance["IdentityStoreId"]
        if group not in self._data.members:
            raise DoubleError("ResourceNotFoundException", "GROUP not found.", ResourceType="GROUP", ResourceId=group)
        rows = [
            {
                "IdentityStoreId": store,
                "MembershipId": f"{group}/{user}",
                "GroupId": group,
                "MemberId": {"UserId": user},
            }
            for user in self._data.members[group]
        ]
        return self._page(service, operation, parameters, "GroupMemberships", rows)

    def _list_permission_sets(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._page(service, operation, parameters, "PermissionSets", list(self._data.permission_sets))

    def _describe_permission_set(self, _: str, __: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return {"PermissionSet": self._data.permission_sets[parameters["PermissionSetArn"]]}

    def _list_managed_policies(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        rows = self._data.managed_policies[parameters["PermissionSetArn"]]
        return self._page(service, operation, parameters, "AttachedManagedPolicies", rows)

    def _list_customer_policies(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        rows = self._data.customer_policies[parameters["PermissionSetArn"]]
        return self._page(service, operation, parameters, "CustomerManagedPolicyReferences", rows)

    def _list_for_principal(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        kind, principal = parameters["PrincipalType"], parameters["PrincipalId"]
        if principal not in (self._users if kind == "USER" else self._data.members):
            raise DoubleError("ResourceNotFoundException", f"{kind} with id {principal} was not found.")
        rows = list(self._by_principal.get((kind, principal), ()))
        if kind == "USER":  # real AWS mixes in what the user has through groups (AWS.md 3.1)
            for group in self._groups_of.get(principal, ()):
                rows += self._by_principal.get(("GROUP", group), ())
        return self._page(service, operation, parameters, "AccountAssignments", rows)

    def _list_accounts_of_set(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        rows = list(self._accounts.get(parameters["PermissionSetArn"], ()))
        return self._page(service, operation, parameters, "AccountIds", rows)

    def _list_assignments(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        rows = self._by_pair.get((parameters["AccountId"], parameters["PermissionSetArn"]), [])
        return self._page(service, operation, parameters, "AccountAssignments", rows)

    def _get_account_details(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        members = {"User": "UserDetailList", "Group": "GroupDetailList", "Role": "RoleDetailList"}
        asked = [value for name, value in sorted(parameters.items()) if name.startswith("Filter.member.")]
        rows = [
            (members.get(kind, "Policies"), row)
            for kind in asked or [*members, "LocalManagedPolicy", "AWSManagedPolicy"]
            for row in self._data.iam.get(kind, ())
        ]
        page = self._page(service, operation, parameters, "rows", rows)
        result: dict[str, Any] = {name: [] for name in (*members.values(), "Policies")}
        for name, row in page.pop("rows"):
            result[name].append(row)
        return result | page

    def _list_iam_users(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._page(service, operation, parameters, "Users", self._data.iam.get("User", []))

    def _list_iam_roles(self, service: str, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._page(service, operation, parameters, "Roles", self._data.iam.get("Role", []))


_OPERATIONS: dict[str, Any] = {
    "AssumeRole": AwsDouble._assume_role,
    "ListInstances": AwsDouble._list_instances,
    "ListUsers": AwsDouble._list_users,
    "ListGroups": AwsDouble._list_groups,
    "ListGroupMemberships": AwsDouble._list_group_memberships,
    "ListPermissionSets": AwsDouble._list_permission_sets,
    "DescribePermissionSet": AwsDouble._describe_permission_set,
    "ListManagedPoliciesInPermissionSet": AwsDouble._list_managed_policies,
    "ListCustomerManagedPolicyReferencesInPermissionSet": AwsDouble._list_customer_policies,
    "ListAccountAssignmentsForPrincipal": AwsDouble._list_for_principal,
    "ListAccountsForProvisionedPermissionSet": AwsDouble._list_accounts_of_set,
    "ListAccountAssignments": AwsDouble._list_assignments,
}
_OF_IAM: dict[str, Any] = {
    "GetAccountAuthorizationDetails": AwsDouble._get_account_details,
    "ListUsers": AwsDouble._list_iam_users,
    "ListRoles": AwsDouble._list_iam_roles,
}


def _to_xml(operation: str, result: dict[str, Any]) -> bytes:
    inner = "".join(_element(name, value) for name, value in result.items())
    return (
        f"<{operation}Response><{operation}Result>{inner}</{operation}Result>"
        f"<ResponseMetadata><RequestId>double</RequestId></ResponseMetadata></{operation}Response>"
    ).encode()


def _element(name: str, value: Any) -> str:
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, dict):
        text = "".join(_element(each, inner) for each, inner in value.items())
    elif isinstance(value, list):
        text = "".join(_element("member", inner) for inner in value)
    else:
        text = escape(str(value))
    return f"<{name}>{text}</{name}>"


def _to_error_xml(error: DoubleError) -> bytes:
    inner = _element("Error", {"Type": "Sender", "Code": error.code, "Message": error.message})
    return f"<ErrorResponse>{inner}<RequestId>double</RequestId></ErrorResponse>".encode()


class _Connection(asyncio.Protocol):
    """One connection that stays open: requests come one after the other."""

    def __init__(self, double: AwsDouble) -> None:
        self._double = double
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[: end + 2]
            length = _LENGTH.search(head)
            rest = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < rest:
                if b"100-continue" in head:
                    self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                return
            body, self._buffer = self._buffer[end + 4 : rest], self._buffer[rest:]
            self._serve(head, body)

    def _serve(self, head: bytes, body: bytes) -> None:
        if b" /double " in head[:40]:
            if head.startswith(b"PUT"):
                self._double.set_rules(Rules(**json.loads(body)))
            self._write(200, "application/json", json.dumps(self._double.report()).encode())
            return
        scope = _SCOPE.search(head)
        service = scope[2].decode() if scope else ""
        target = _TARGET.search(head)
        if target:
            operation, parameters = target[1].decode(), json.loads(body)
        else:
            parameters = dict(urllib.parse.parse_qsl(body.decode()))
            operation = parameters.pop("Action", "")
        answer = self._double.answer(service, operation, parameters)
        if self._double.rules.latency_seconds:
            asyncio.get_running_loop().call_later(self._double.rules.latency_seconds, self._write, *answer)
        else:
            self._write(*answer)

    def _write(self, status: int, content_type: str, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
            "x-amzn-RequestId: double\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


def to_json(data: Dataset) -> str:
    """Return a dataset as the JSON that ``Rules.dataset`` names."""
    return json.dumps(asdict(data))


async def _serve_for_ever() -> None:
    double = AwsDouble()
    double.set_rules(Rules())
    server = await asyncio.get_running_loop().create_server(lambda: _Connection(double), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    parent = os.getppid()
    while os.getppid() == parent:  # it ends with the process that started it
        await asyncio.sleep(1)


if __name__ == "__main__":
    asyncio.run(_serve_for_ever())
