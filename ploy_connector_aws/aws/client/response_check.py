"""Checks every raw answer of AWS before botocore parses it: whole, in the service's format, and of that operation.

botocore takes a cut, empty or foreign body with the status 200 for an empty answer, which would look as if everything
had been deleted. This check turns a flawed answer into an error answer. botocore's standard mode then retries it with
the attempts and the quota that a cut connection has, and raises it in the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from xml.etree import ElementTree

from botocore.awsrequest import AWSResponse
from botocore.hooks import BaseEventHooks
from botocore.model import OperationModel, Shape

FLAWS: dict[str, str] = {
    "Response.Incomplete": "was cut off",
    "Response.Status": "had neither the status 200 nor that of an error",
    "Response.Unreadable": "was not in the format of the service",
    "Response.Error": "had the status 200, but contained an error",
    "Response.Foreign": "was not the answer of this operation",
    "Response.Member": "lacked data that AWS always sends",
    "Response.RequestId": "had no request ID of AWS",
}
"""What can be wrong with an answer, by the error code that the check gives it. AWS has no such codes."""

FLAWED_FIX = "Nothing, if it passes. If it stays, the operator must check the proxy between the connector and AWS."
"""What the person who reads of such an answer can do."""

ANSWER_MEMBERS: dict[str, tuple[str, ...]] = {
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
    # Which of them a page has depends on what it has room for.
    "GetAccountAuthorizationDetails": ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies"),
    "GetCallerIdentity": ("Account",),
    "GetGroupMembershipId": ("MembershipId",),
}
"""Of which members an answer has at least one, where the operation's model does not have exactly one list."""

OMITS_EMPTY_LIST = frozenset({"ListQueues"})
"""Operations that leave an empty list out of their answer: SQS alone does (AWS.md section 1.2)."""

NULL_IS_EMPTY_LIST = frozenset({"ListTagsForResource"})
"""Operations whose answer has null where a thing has no tags. In place of a list of things, null is no answer."""

_ERROR_MEMBERS = frozenset({"__type", "message", "Message", "Error", "code"})
"""Members of error answers in AWS's JSON protocols (Smithy, "AWS JSON 1.1 protocol" and "AWS restJson1 protocol")."""

_ROOTS = {"ListBuckets": "ListAllMyBucketsResult"}
"""Root elements that are not named after their operation: those of S3, whose protocol leaves the name open."""

_REQUEST_ID_HEADERS = ("x-amzn-RequestId", "x-amz-request-id")


@dataclass(frozen=True)
class _Answer:
    """One answer as it came, and the model of its operation."""

    model: OperationModel
    headers: Mapping[str, str]
    status: int
    body: bytes

    @property
    def request_id(self) -> str | None:
        """AWS's id of the request, where a header has it."""
        return next((self.headers[name] for name in _REQUEST_ID_HEADERS if self.headers.get(name)), None)

    @property
    def is_complete(self) -> bool:
        """Whether as many bytes came as were announced; botocore does not ask urllib3 to compare."""
        length = self.headers.get("Content-Length")
        if length is None or "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            # urllib3 raises where the last chunk is missing, and ignores a length beside chunks.
            return True
        # botocore lets urllib3 decode nothing (``decode_content=False``), so these are the bytes of the wire.
        return {each.strip() for each in length.split(",")} == {str(len(self.body))}


def check_responses(events: BaseEventHooks) -> None:
    """Make every client that inherits these events check each answer before it is parsed."""
    # An exception out of ``before-parse`` would not be retried, and ``needs-retry`` comes too late for the check: the
    # parser raises on many a foreign body. botocore treats S3's errors with the status 200 in the same two steps.
    events.register_first("before-parse.*.*", _check_response)
    events.register_first("needs-retry.*.*", _set_status)


def expected_members(model: OperationModel) -> tuple[str, ...]:
    """Name the members of which an operation's answer has at least one; none where it may be empty."""
    lists = (name for name, shape in _shapes(model).items() if shape.type_name == "list")
    return ANSWER_MEMBERS[model.name] if model.name in ANSWER_MEMBERS else tuple(lists)


def _check_response(
    operation_model: OperationModel,
    response_dict: dict[str, Any],
    customized_response_dict: dict[str, Any],
    **_: Any,
) -> None:
    answer = _Answer(operation_model, *(response_dict[name] for name in ("headers", "status_code", "body")))
    flaw = _find_flaw(answer)
    if flaw is not None:
        # As from a gateway that gets no valid answer. Of an empty body the parsers make an error of that status, so
        # nothing of what came, which may be credentials, is in it.
        status = HTTPStatus.BAD_GATEWAY.value
        response_dict.update(status_code=status, body=b"")
        customized_response_dict.update(
            Error={"Code": flaw, "Message": FLAWS[flaw]},
            ResponseMetadata={"RequestId": answer.request_id, "HTTPStatusCode": status},
        )
        return
    if answer.status < HTTPStatus.BAD_REQUEST and b"null" in answer.body:
        response_dict.update(body=_with_empty_lists(answer))
    if operation_model.name in OMITS_EMPTY_LIST and answer.status < HTTPStatus.BAD_REQUEST:
        # Only this check knows that the answer is whole, so nothing after it makes an empty list of a missing one.
        omitted = set(expected_members(operation_model)) - json.loads(answer.body).keys()
        customized_response_dict.update((member, []) for member in omitted)


def _with_empty_lists(answer: _Answer) -> bytes:
    """Write an empty list for each list that is null. botocore drops null, as if the answer did not have the member.

    This tells an ECS cluster without tags from one whose description lacks them.
    """
    if _PROTOCOLS[answer.model.service_model.resolved_protocol][0] is not json.loads or not answer.model.output_shape:
        return answer.body
    content = json.loads(answer.body)
    return json.dumps(_without_null(content, answer.model.output_shape)).encode()


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
    """Let botocore retry and raise by the status that the check gave the answer, not by that of the server."""
    if response is not None:
        raw, parsed = response
        if parsed.get("Error", {}).get("Code") in FLAWS:
            raw.status_code = parsed["ResponseMetadata"]["HTTPStatusCode"]


def _find_flaw(answer: _Answer) -> str | None:
    parse, find_flaw_of_content = _PROTOCOLS[answer.model.service_model.resolved_protocol]
    is_error = answer.status >= HTTPStatus.BAD_REQUEST
    if not answer.is_complete:
        return "Response.Incomplete"
    if not is_error and answer.status != answer.model.http.get("responseCode", HTTPStatus.OK):
        return "Response.Status"
    if is_error and parse is json.loads:
        # botocore itself makes an error of a status whose body is no JSON; its parsers of XML raise.
        return None
    is_output_empty = not _shapes(answer.model) and answer.headers.get("Content-Length") == "0"
    try:
        # "An HTTP 200 response with an empty HTTP body" (API references, of operations without output).
        content = parse(answer.body or (b"{}" if is_output_empty else b""))
    except (ValueError, RecursionError, ElementTree.ParseError):
        return "Response.Unreadable"
    return None if is_error else find_flaw_of_content(answer, content)


def _find_flaw_of_json(answer: _Answer, content: Any) -> str | None:
    if not isinstance(content, dict):
        return "Response.Foreign"
    shapes = _shapes(answer.model)
    unknown = content.keys() - shapes.keys()
    if unknown & _ERROR_MEMBERS:
        return "Response.Error"
    expected = expected_members(answer.model)
    found = [name for name in expected if name in content]
    if not found and (not expected or answer.model.name in OMITS_EMPTY_LIST):
        # No member proves what this is, so it must look like AWS's answer all over.
        return "Response.Foreign" if unknown else None if answer.request_id else "Response.RequestId"
    if answer.model.name in NULL_IS_EMPTY_LIST and found and all(content[name] is None for name in found):
        return None
    is_sound = found and all(_JSON_TYPES[shapes[name].type_name](content[name]) for name in found)
    return None if is_sound else "Response.Member"


_JSON_TYPES: dict[str, Callable[[Any], bool]] = {
    "list": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str) and bool(value),
    "structure": lambda value: isinstance(value, dict) and bool(value),
}


def _find_flaw_of_xml(answer: _Answer, root: ElementTree.Element) -> str | None:
    if _local_name(root) != _ROOTS.get(answer.model.name, f"{answer.model.name}Response"):
        return "Response.Foreign"
    # The Query protocol, that of EC2, and S3 in a header.
    ids = (root.findtext(path) for path in ("{*}ResponseMetadata/{*}RequestId", "{*}requestId"))
    if not any(ids) and not (answer.model.service_model.resolved_protocol == "rest-xml" and answer.request_id):
        return "Response.RequestId"
    output = answer.model.output_shape
    wrapper = output.serialization.get("resultWrapper") if output else None
    result = root if wrapper is None else root.find(f"{{*}}{wrapper}")
    if result is None:
        return "Response.Member"
    shapes = _shapes(answer.model)
    found = {
        name: element
        for name in expected_members(answer.model)
        if (element := result.find(f"{{*}}{shapes[name].serialization.get('name', name)}")) is not None
    }
    is_sound = found and all(_XML_TYPES[shapes[name].type_name](element) for name, element in found.items())
    return None if is_sound else "Response.Member"


def _is_list(element: ElementTree.Element) -> bool:
    return not (element.text or "").strip()


_XML_TYPES: dict[str, Callable[[ElementTree.Element], bool]] = {
    "list": _is_list,
    "string": lambda element: bool(element.text),
    "structure": lambda element: len(element) > 0,
}

_PROTOCOLS: dict[str, tuple[Callable[[bytes], Any], Callable[[_Answer, Any], str | None]]] = {
    "json": (json.loads, _find_flaw_of_json),
    "rest-json": (json.loads, _find_flaw_of_json),
    "query": (ElementTree.fromstring, _find_flaw_of_xml),
    "ec2": (ElementTree.fromstring, _find_flaw_of_xml),
    "rest-xml": (ElementTree.fromstring, _find_flaw_of_xml),
}
"""How the body of each protocol is parsed, and what finds the flaw in what was parsed."""


def _shapes(model: OperationModel) -> Mapping[str, Shape]:
    return model.output_shape.members if model.output_shape else {}


def _local_name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
