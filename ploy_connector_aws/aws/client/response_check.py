"""Checks every raw response of AWS before botocore parses it: complete, in the service's format, of that operation.

botocore takes a truncated, empty or foreign body with the status 200 for an empty result, which would look as if
everything had been deleted. This check turns a flawed response into an error response. botocore's standard mode then
retries it with the attempts and the quota of a broken connection, and finally raises it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from xml.etree import ElementTree

from botocore.awsrequest import AWSResponse
from botocore.hooks import BaseEventHooks
from botocore.model import OperationModel, Shape

FLAWS: dict[str, str] = {
    "Response.Incomplete": "was truncated",
    "Response.Status": "had neither the status 200 nor that of an error",
    "Response.Unreadable": "was not in the format of the service",
    "Response.Error": "had the status 200, but contained an error",
    "Response.Foreign": "was not that of this operation",
    "Response.Member": "lacked data that AWS always sends",
    "Response.RequestId": "had no request ID of AWS",
}
"""The flaws, by the error code that the check assigns. AWS has no such codes."""

FLAWED_FIX = "None needed if it passes. If it continues, check the proxy between the connector and AWS."
"""The fix for such a response."""

RESPONSE_MEMBERS: dict[str, tuple[str, ...]] = {
    "AssumeRole": ("Credentials",),
    "CreateAccountAssignment": ("AccountAssignmentCreationStatus",),
    "CreateGroupMembership": ("MembershipId",),
    "DeleteAccountAssignment": ("AccountAssignmentDeletionStatus",),
    "DeleteGroupMembership": (),
    "DescribeAccountAssignmentCreationStatus": ("AccountAssignmentCreationStatus",),
    "DescribeAccountAssignmentDeletionStatus": ("AccountAssignmentDeletionStatus",),
    "DescribeClusters": ("clusters",),
    "DescribePermissionSet": ("PermissionSet",),
    "DescribeUser": ("UserId",),
    # Which of them a page has depends on its size.
    "GetAccountAuthorizationDetails": ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"),
    "GetCallerIdentity": ("Account",),
    "GetGroupMembershipId": ("MembershipId",),
}
"""The members of which a response has at least one, where the operation's model does not have exactly one list."""

OMITS_EMPTY_LIST = frozenset({"ListQueues"})
"""Operations whose response omits an empty list: only SQS does (AWS.md section 1.2)."""

NULL_IS_EMPTY_LIST = frozenset({"ListTagsForResource"})
"""Operations that return null where a resource has no tags. Null in place of a list of resources is a flaw."""

_ERROR_MEMBERS = frozenset({"__type", "message", "Message", "Error", "code"})
"""Members of error responses in AWS's JSON protocols (Smithy, "AWS JSON 1.1 protocol" and "AWS restJson1 protocol")."""

_ROOTS = {"ListBuckets": "ListAllMyBucketsResult"}
"""Root elements that are not named after their operation: those of S3, whose protocol leaves the name open."""

_REQUEST_ID_HEADERS = ("x-amzn-RequestId", "x-amz-request-id")


class _Response(NamedTuple):
    """One raw response, and the model of its operation."""

    model: OperationModel
    headers: Mapping[str, str]
    status: int
    body: bytes

    @property
    def request_id(self) -> str | None:
        """AWS's id of the request, if a header has it."""
        return next((self.headers[name] for name in _REQUEST_ID_HEADERS if self.headers.get(name)), None)

    @property
    def is_complete(self) -> bool:
        """Whether the body has the announced length; botocore does not let urllib3 compare."""
        length = self.headers.get("Content-Length")
        if length == str(len(self.body)):
            return True
        if length is None or "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            # urllib3 raises if the last chunk is missing, and ignores a length with chunks.
            return True
        # botocore makes urllib3 decode nothing (``decode_content=False``), so these are the bytes of the wire.
        return {each.strip() for each in length.split(",")} == {str(len(self.body))}


def check_responses(events: BaseEventHooks) -> None:
    """Make every client that inherits these events check each response before it is parsed."""
    # botocore does not retry an exception of ``before-parse``, and ``needs-retry`` comes too late for the check: the
    # parser raises on many foreign bodies. botocore handles S3's errors with the status 200 in the same two steps.
    events.register_first("before-parse.*.*", _check_response)
    events.register_first("needs-retry.*.*", _set_status)


def expected_members(model: OperationModel) -> tuple[str, ...]:
    """Return the members of which an operation's response has at least one; none where it may be empty."""
    lists = (name for name, shape in _shapes(model).items() if shape.type_name == "list")
    return RESPONSE_MEMBERS[model.name] if model.name in RESPONSE_MEMBERS else tuple(lists)


def _check_response(
    operation_model: OperationModel,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_: Any,
) -> None:
    response = _Response(operation_model, *(response_dict[name] for name in ("headers", "status_code", "body")))
    flaw = _find_flaw(response)
    if flaw is not None:
        # The status of a gateway that got no valid response. The parsers turn an empty body into an error of that
        # status, which contains nothing of the response; that may have been credentials.
        status = HTTPStatus.BAD_GATEWAY.value
        response_dict.update(status_code=status, body=b"")
        customized_response_dict.update(
            Error={"Code": flaw, "Message": FLAWS[flaw]},
            ResponseMetadata={"RequestId": response.request_id, "HTTPStatusCode": status},
        )
        return
    if response.status < HTTPStatus.BAD_REQUEST and b"null" in response.body:
        response_dict.update(body=_with_empty_lists(response))
    if operation_model.name in OMITS_EMPTY_LIST and response.status < HTTPStatus.BAD_REQUEST:
        # Only this check knows that the response is complete, so only it may add an empty list for a missing one.
        omitted = set(expected_members(operation_model)) - json.loads(response.body).keys()
        customized_response_dict.update((member, []) for member in omitted)


def _with_empty_lists(response: _Response) -> bytes:
    """Replace each null list by an empty one: botocore drops null, as if the response did not have the member.

    That distinguishes an ECS cluster without tags from one whose description lacks them.
    """
    if (
        _PROTOCOLS[response.model.service_model.resolved_protocol][0] is not json.loads
        or not response.model.output_shape
    ):
        return response.body
    content = json.loads(response.body)
    return json.dumps(_without_null(content, response.model.output_shape)).encode()


def _without_null(value: Any, shape: Shape) -> Any:
    if shape.type_name == "list":
        return [_without_null(each, shape.member) for each in value] if isinstance(value, list) else value or []
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            name: _without_null(each, shape.members[name])
            if name in shape.members and (each is not None or shape.members[name].type_name == "list")
            else each
            for name, each in value.items()
        }
    return value


def _set_status(response: tuple[AWSResponse, dict[str, Any]] | None, **_: Any) -> None:
    """Make botocore retry and raise by the status that the check assigned, not by that of the server."""
    if response is not None:
        raw, parsed = response
        if parsed.get("Error", {}).get("Code") in FLAWS:
            raw.status_code = parsed["ResponseMetadata"]["HTTPStatusCode"]


def _find_flaw(response: _Response) -> str | None:
    parse, find_flaw_of_content = _PROTOCOLS[response.model.service_model.resolved_protocol]
    is_error = response.status >= HTTPStatus.BAD_REQUEST
    if not response.is_complete:
        return "Response.Incomplete"
    if not is_error and response.status != response.model.http.get("responseCode", HTTPStatus.OK):
        return "Response.Status"
    if is_error and parse is json.loads:
        # botocore itself makes an error of a status whose body is not JSON; its XML parsers raise.
        return None
    is_output_empty = not _shapes(response.model) and response.headers.get("Content-Length") == "0"
    try:
        # "An HTTP 200 response with an empty HTTP body" (API references, of operations without output).
        content = parse(response.body or (b"{}" if is_output_empty else b""))
    except (ValueError, RecursionError, ElementTree.ParseError):
        return "Response.Unreadable"
    return None if is_error else find_flaw_of_content(response, content)


def _find_flaw_of_json(response: _Response, content: Any) -> str | None:
    if not isinstance(content, dict):
        return "Response.Foreign"
    shapes = _shapes(response.model)
    unknown = content.keys() - shapes.keys()
    if unknown & _ERROR_MEMBERS:
        return "Response.Error"
    expected = expected_members(response.model)
    found = [name for name in expected if name in content]
    if not found and (not expected or response.model.name in OMITS_EMPTY_LIST):
        # No member identifies the response, so everything else must look like one of AWS.
        return "Response.Foreign" if unknown else None if response.request_id else "Response.RequestId"
    if response.model.name in NULL_IS_EMPTY_LIST and found and all(content[name] is None for name in found):
        return None
    is_valid = found and all(_JSON_TYPES[shapes[name].type_name](content[name]) for name in found)
    return None if is_valid else "Response.Member"


_JSON_TYPES: dict[str, Callable[[Any], bool]] = {
    "list": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str) and bool(value),
    "structure": lambda value: isinstance(value, dict) and bool(value),
}


def _find_flaw_of_xml(response: _Response, root: ElementTree.Element) -> str | None:
    if root.tag.rpartition("}")[2] != _ROOTS.get(response.model.name, f"{response.model.name}Response"):
        return "Response.Foreign"
    # The Query protocol, that of EC2, and S3 in a header.
    ids = (root.findtext(path) for path in ("{*}ResponseMetadata/{*}RequestId", "{*}requestId"))
    if not any(ids) and not (response.model.service_model.resolved_protocol == "rest-xml" and response.request_id):
        return "Response.RequestId"
    output = response.model.output_shape
    wrapper = output.serialization.get("resultWrapper") if output else None
    result = root if wrapper is None else root.find(f"{{*}}{wrapper}")
    if result is None:
        return "Response.Member"
    shapes = _shapes(response.model)
    found = {
        name: element
        for name in expected_members(response.model)
        if (element := result.find(f"{{*}}{shapes[name].serialization.get('name', name)}")) is not None
    }
    is_valid = found and all(_XML_TYPES[shapes[name].type_name](element) for name, element in found.items())
    return None if is_valid else "Response.Member"


_XML_TYPES: dict[str, Callable[[ElementTree.Element], bool]] = {
    "list": lambda element: not (element.text or "").strip(),
    "string": lambda element: bool(element.text),
    "structure": lambda element: len(element) > 0,
}

_PROTOCOLS: dict[str, tuple[Callable[[bytes], Any], Callable[[_Response, Any], str | None]]] = {
    "json": (json.loads, _find_flaw_of_json),
    "rest-json": (json.loads, _find_flaw_of_json),
    "query": (ElementTree.fromstring, _find_flaw_of_xml),
    "ec2": (ElementTree.fromstring, _find_flaw_of_xml),
    "rest-xml": (ElementTree.fromstring, _find_flaw_of_xml),
}
"""The parser of each protocol's body, and what finds the flaw in the parsed content."""


def _shapes(model: OperationModel) -> Mapping[str, Shape]:
    return model.output_shape.members if model.output_shape else {}
