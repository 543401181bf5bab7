"""Every operation that the connector calls, and every kind of spoiled answer: retried, then temporary, never empty."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.loaders import Loader
from botocore.model import ServiceModel

from ploy_connector_aws.aws.client.calls import call
from ploy_connector_aws.aws.client.errors import NotAppliedError
from ploy_connector_aws.aws.client.response_check import (
    _PROTOCOLS,
    FLAWS,
    OMITS_EMPTY_LIST,
    RESPONSE_MEMBERS,
    expected_members,
)
from ploy_connector_aws.aws.client.session import BACKGROUND, CallProfile, ReadSession, RoleSession, make_sts_client
from ploy_connector_aws.aws.permissions import ACTIONS, ASSUME_ROLE, GET_CALLER_IDENTITY, OPTIONAL
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.spec import TemporaryError
from tests.aws.conftest import EXTERNAL_ID, REGION
from tests.aws.raw_answers import GOOD, SECRET, Reply, Request, Spoil, forms_of, good_reply, kinds_for, serving

pytestmark = pytest.mark.usefixtures("no_garbage_collection")

ALL_ACTIONS = (*ACTIONS, *OPTIONAL, ASSUME_ROLE, GET_CALLER_IDENTITY)
CALLS = sorted(f"{action.client}:{action.operation}" for action in ALL_ACTIONS)
EVERY = 5
"""After one of so many kinds a good answer follows; that each kind is retried, its failure shows, too."""
TWO_ATTEMPTS = CallProfile(connect_timeout_seconds=30, read_timeout_seconds=30, exchange_seconds=60, attempts=2)

_ARN = "arn:aws:sso:::instance/ssoins-0123456789abcdef"
_SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
_STORE = {"IdentityStoreId": "d-1234567890"}
_ID = "3f2504e0-4f89-41d3-9a0c-0305e82c3301"
_MEMBER = {**_STORE, "GroupId": _ID, "MemberId": {"UserId": _ID}}
_ASSIGNMENT = {
    "InstanceArn": _ARN,
    "TargetId": "123456789012",
    "TargetType": "AWS_ACCOUNT",
    "PermissionSetArn": _SET,
    "PrincipalType": "USER",
    "PrincipalId": _ID,
}
_SET_OF_INSTANCE = {"InstanceArn": _ARN, "PermissionSetArn": _SET}
PARAMETERS: dict[str, dict[str, Any]] = {
    "ecs:DescribeClusters": {"clusters": ["web"]},
    "ecs:ListTagsForResource": {"resourceArn": "arn:aws:ecs:eu-central-1:123456789012:cluster/web"},
    "identitystore:CreateGroupMembership": _MEMBER,
    "identitystore:DeleteGroupMembership": {**_STORE, "MembershipId": _ID},
    "identitystore:DescribeUser": {**_STORE, "UserId": _ID},
    "identitystore:GetGroupMembershipId": _MEMBER,
    "identitystore:ListGroupMemberships": {**_STORE, "GroupId": _ID},
    "identitystore:ListGroups": _STORE,
    "identitystore:ListUsers": _STORE,
    "rds:ListTagsForResource": {"ResourceName": "arn:aws:rds:eu-central-1:123456789012:db:main"},
    "sso-admin:CreateAccountAssignment": _ASSIGNMENT,
    "sso-admin:DeleteAccountAssignment": _ASSIGNMENT,
    "sso-admin:DescribeAccountAssignmentCreationStatus": {
        "InstanceArn": _ARN,
        "AccountAssignmentCreationRequestId": _ID,
    },
    "sso-admin:DescribeAccountAssignmentDeletionStatus": {
        "InstanceArn": _ARN,
        "AccountAssignmentDeletionRequestId": _ID,
    },
    "sso-admin:DescribePermissionSet": _SET_OF_INSTANCE,
    "sso-admin:ListAccountAssignmentsForPrincipal": {
        "InstanceArn": _ARN,
        "PrincipalId": _ID,
        "PrincipalType": "USER",
    },
    "sso-admin:ListCustomerManagedPolicyReferencesInPermissionSet": _SET_OF_INSTANCE,
    "sso-admin:ListManagedPoliciesInPermissionSet": _SET_OF_INSTANCE,
    "sso-admin:ListAccountAssignments": {
        "InstanceArn": _ARN,
        "AccountId": "111122223333",
        "PermissionSetArn": _ARN,
    },
    "sso-admin:ListAccountsForProvisionedPermissionSet": {"InstanceArn": _ARN, "PermissionSetArn": _ARN},
    "sso-admin:ListPermissionSets": {"InstanceArn": _ARN},
    "sts:AssumeRole": {"RoleArn": "arn:aws:iam::123456789012:role/Ploy", "RoleSessionName": "ploy"},
}


@dataclass
class Server:
    """What answers instead of AWS: well, but for one operation whose answers are spoiled."""

    spoiled: str = ""
    spoil: Spoil | None = None
    attempts_spoiled: int = 0
    asked: list[str] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        self.asked.append(request.call)
        good = good_reply(request.call)
        is_spoiled = request.call == self.spoiled and request.attempt <= self.attempts_spoiled
        return self.spoil(good) if self.spoil is not None and is_spoiled else good

    def spoil_attempts(self, attempts: int, call: str, spoil: Spoil) -> None:
        self.spoiled, self.spoil, self.attempts_spoiled = call, spoil, attempts
        self.asked.clear()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server()
    with serving(server.answer) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("PLOY_AWS_RATE_FACTOR", "10000")
        yield server


def make_config() -> AwsConfig:
    return AwsConfig.from_settings(
        {
            "account_id": "123456789012",
            "region": REGION,
            "role_arn": "arn:aws:iam::123456789012:role/Ploy",
            "external_id": EXTERNAL_ID,
            "scopes": ["identity-center"],
        }
    )


ClientMaker = Callable[[str], BaseClient]


@pytest.fixture
def make_client(server: Server) -> ClientMaker:
    """Give a function that makes clients as a session does; each has a retry quota of its own."""
    session = RoleSession(make_config(), "sync", "{}", ALL_ACTIONS, TWO_ATTEMPTS)

    def make(call: str) -> BaseClient:
        service = call.partition(":")[0]
        return make_sts_client(REGION, TWO_ATTEMPTS) if service == "sts" else session.make_client(service, REGION)

    return make


def ask(client: BaseClient, call_: str) -> dict[str, Any]:
    answer = call(client, call_.partition(":")[2], **PARAMETERS.get(call_, {}))
    answer.pop("ResponseMetadata")
    return answer


def fail(client: BaseClient, call_: str, kind: str) -> str:
    """Make a call that must end in an error; gives what the error says of a write."""
    with pytest.raises(TemporaryError) as raised:
        pytest.fail(f"{kind}: {ask(client, call_)}")
    error = raised.value
    assert error.__context__ is None, kind
    assert SECRET not in f"{error!r} {error.fix}", kind
    return "no effect" if isinstance(error, NotAppliedError) or error.changed_nothing else "unknown"


def is_alone(call_: str) -> bool:
    """Whether it is the only call of its service, and maybe of its protocol."""
    return len([each for each in CALLS if each.startswith(call_.partition(":")[0] + ":")]) == 1


@pytest.mark.parametrize(
    ("call_", "half"),
    [
        pytest.param(call_, half, marks=[] if (number + half) % 2 == 0 or is_alone(call_) else [pytest.mark.soak])
        for number, call_ in enumerate(CALLS)
        for half in (0, 1)
    ],
)
def test_each_kind_of_spoiled_answer_is_retried_and_then_temporary_and_a_good_one_is_taken_in_any_form(
    server: Server, make_client: ClientMaker, call_: str, half: int
) -> None:
    """Half of the kinds with a call; the other half with the next one, and in a soak with this one, too."""
    good = ask(make_client(call_), call_)
    kinds = dict(list(kinds_for(call_).items())[half::2])
    retried, failed = {}, {}
    for number, (kind, spoil) in enumerate(kinds.items()):
        if number % 20 == 0:
            # botocore's quota of a client is used up by 35 retries in vain.
            client = make_client(call_)
        if number % EVERY == 0:
            server.spoil_attempts(1, call_, spoil)
            retried[kind] = (ask(client, call_), server.asked.count(call_))
        server.spoil_attempts(2, call_, spoil)
        failed[kind] = (fail(client, call_, kind), server.asked.count(call_))

    accepted = {}
    for form, change in forms_of(call_).items():
        server.spoil_attempts(1, call_, change)
        accepted[form] = (ask(client, call_), server.asked.count(call_))

    assert len(kinds) >= 10
    assert accepted == dict.fromkeys(accepted, (good, 1))
    assert retried == dict.fromkeys(retried, (good, 2))
    assert failed == dict.fromkeys(kinds, ("unknown", 2))


def test_a_spoiled_answer_to_the_request_for_the_role_is_retried_and_never_quoted(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for kind, spoil in kinds_for("sts:AssumeRole").items():
        server.spoil_attempts(1, "sts:AssumeRole", spoil)
        session = ReadSession(make_config(), profile=TWO_ATTEMPTS)
        session.open()
        session.close()
        assert server.asked == ["sts:AssumeRole"] * 2, kind

        server.spoil_attempts(2, "sts:AssumeRole", spoil)
        with pytest.raises(TemporaryError) as raised:
            ReadSession(make_config(), profile=TWO_ATTEMPTS).open()
        assert raised.value.__context__ is None, kind
        assert SECRET not in f"{raised.value!r} {raised.value.fix} {caplog.text}", kind


def test_a_sync_gets_over_eight_spoiled_answers_in_a_row_like_over_eight_cut_connections(server: Server) -> None:
    client = ReadSession(make_config(), profile=BACKGROUND).make_client("sqs", REGION)
    server.spoil_attempts(8, "sqs:ListQueues", kinds_for("sqs:ListQueues")["cut before the body"])

    assert ask(client, "sqs:ListQueues") == GOOD["sqs:ListQueues"]
    assert server.asked.count("sqs:ListQueues") == 9


@pytest.mark.parametrize("body", [b"{}", b'{"NextToken": "more"}', b'{"QueueUrls": []}'])
def test_sqs_alone_leaves_an_empty_list_out(server: Server, make_client: ClientMaker, body: bytes) -> None:
    client = make_client("sqs:ListQueues")
    server.spoil_attempts(1, "sqs:ListQueues", lambda good: Reply(body))

    assert ask(client, "sqs:ListQueues")["QueueUrls"] == []
    assert server.asked.count("sqs:ListQueues") == 1
    client.close()


NULL_LISTS: list[tuple[str, str, Any]] = [
    (
        "ecs:DescribeClusters",
        '{"clusters": [{"clusterName": "web", "tags": null}], "failures": null}',
        ("clusters", 0, "tags"),
    ),
    ("ecs:ListTagsForResource", '{"tags": null}', ("tags",)),
    ("lambda:ListFunctions", '{"Functions": [{"FunctionName": "f", "Layers": null}]}', ("Functions", 0, "Layers")),
    ("identitystore:ListUsers", '{"Users": [{"UserId": "u-1", "Emails": null}]}', ("Users", 0, "Emails")),
    ("identitystore:ListGroups", '{"Groups": [{"GroupId": "g-1", "ExternalIds": null}]}', ("Groups", 0, "ExternalIds")),
    ("sso-admin:ListInstances", '{"Instances": [{"InstanceArn": "x", "Regions": null}]}', ("Instances", 0, "Regions")),
]


@pytest.mark.parametrize(("call_", "body", "path"), NULL_LISTS)
def test_a_null_list_of_a_thing_is_an_empty_one(
    server: Server, make_client: ClientMaker, call_: str, body: str, path: tuple[Any, ...]
) -> None:
    client = make_client(call_)
    server.spoil_attempts(1, call_, lambda good: Reply(body.encode()))
    found: Any = ask(client, call_)
    for step in path:
        found = found[step]

    assert (found, server.asked.count(call_)) == ([], 1)
    client.close()


def test_no_queues_without_a_request_id_of_aws_are_no_answer(server: Server, make_client: ClientMaker) -> None:
    client = make_client("sqs:ListQueues")
    server.spoil_attempts(2, "sqs:ListQueues", lambda good: Reply(b"{}", headers={}))

    with pytest.raises(TemporaryError, match="had no request ID of AWS"):
        ask(client, "sqs:ListQueues")
    client.close()


@pytest.mark.parametrize("status", [400, 403, 500, 502, 503])
@pytest.mark.parametrize("call_", ["iam:ListUsers", "s3:ListBuckets", "ec2:DescribeTags", "identitystore:ListUsers"])
def test_an_error_that_is_a_page_is_temporary_whatever_its_status(
    server: Server, make_client: ClientMaker, call_: str, status: int
) -> None:
    page = kinds_for(call_)["a page"]
    client = make_client(call_)
    server.spoil_attempts(2, call_, lambda good: Reply(page(good).body, status=status))

    with pytest.raises(TemporaryError):
        ask(client, call_)
    assert server.asked.count(call_) == (1 if call_.startswith("identitystore") and status < 500 else 2)
    client.close()


@pytest.mark.parametrize("code", ["ResourceNotFoundException", "AccessDeniedException", "ThrottlingException"])
def test_an_error_that_was_cut_off_is_not_believed(server: Server, make_client: ClientMaker, code: str) -> None:
    call_ = "identitystore:DescribeUser"
    client = make_client(call_)
    headers = {"x-amzn-ErrorType": code}
    server.spoil_attempts(2, call_, lambda good: Reply(b'{"Reso', 400, headers, length=90))

    assert fail(client, call_, code) == "unknown"
    assert server.asked.count(call_) == 2
    client.close()


def test_every_action_has_a_good_answer_here_and_members_that_prove_it() -> None:
    loader = Loader()
    models = {
        (service := action.client): ServiceModel(loader.load_service_model(service, "service-2"), service)
        for action in ALL_ACTIONS
    }
    assert sorted(GOOD) == CALLS
    for action in ALL_ACTIONS:
        service = models[action.client]
        model = service.operation_model(action.operation)
        members = model.output_shape.members if model.output_shape else {}
        lists = [name for name, shape in members.items() if shape.type_name == "list"]
        assert service.resolved_protocol in _PROTOCOLS, f"how answers of {action.client} are read is not known"
        assert action.operation in RESPONSE_MEMBERS or len(lists) == 1, f"{action.operation} is not in RESPONSE_MEMBERS"
        assert set(expected_members(model)) <= members.keys()
        assert bool(expected_members(model)) == bool(members)
    operations = {action.operation for action in ALL_ACTIONS}
    assert operations >= OMITS_EMPTY_LIST | RESPONSE_MEMBERS.keys()


def test_no_flaw_has_a_code_of_aws() -> None:
    assert all(code.startswith("Response.") for code in FLAWS)
