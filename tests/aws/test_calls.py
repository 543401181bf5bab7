"""Lists page by page, with scripted answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from botocore.client import BaseClient
from botocore.stub import Stubber

from ploy_connector_aws.aws.client.calls import read_pages, read_responses
from ploy_connector_aws.spec import PermissionDeniedError, TemporaryError

INSTANCE = "arn:aws:sso:::instance/ssoins-0123456789abcdef"
A, B = (f"arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-000000000000000{each}" for each in "ab")


@pytest.fixture
def client() -> BaseClient:
    session = botocore.session.Session()
    session.set_credentials("AKIAEXAMPLE", "secret")
    return session.create_client("sso-admin", region_name="eu-west-1")


@pytest.fixture
def stub(client: BaseClient) -> Iterator[Stubber]:
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def add(stub: Stubber, answer: dict[str, Any], token: str | None = None) -> None:
    asked = {"InstanceArn": INSTANCE, "MaxResults": 100, **({"NextToken": token} if token else {})}
    stub.add_response("list_permission_sets", answer, asked)


def read(client: BaseClient) -> Iterator[list[str]]:
    return read_pages(client, "ListPermissionSets", "PermissionSets", InstanceArn=INSTANCE)


def test_pages_are_read_to_the_end_an_empty_one_with_a_token_too(client: BaseClient, stub: Stubber) -> None:
    add(stub, {"PermissionSets": [A], "NextToken": "1"})
    add(stub, {"PermissionSets": [], "NextToken": "2"}, "1")
    add(stub, {"PermissionSets": [B]}, "2")

    assert list(read(client)) == [[A], [], [B]]


def test_a_page_is_handed_over_before_the_next_is_asked_for(client: BaseClient, stub: Stubber) -> None:
    add(stub, {"PermissionSets": [A], "NextToken": "1"})

    assert next(read(client)) == [A]


@pytest.mark.parametrize("tokens", [("1", "1"), ("1", "2", "1")])
def test_a_token_that_comes_again_is_an_error(client: BaseClient, stub: Stubber, tokens: tuple[str, ...]) -> None:
    for before, token in zip((None, *tokens), tokens, strict=False):
        add(stub, {"PermissionSets": [A], "NextToken": token}, before)

    with pytest.raises(TemporaryError, match="has no end"):
        list(read(client))


def test_an_answer_without_the_list_is_no_empty_list(client: BaseClient, stub: Stubber) -> None:
    add(stub, {})

    with pytest.raises(TemporaryError, match="has no PermissionSets"):
        list(read(client))


def test_an_error_on_a_later_page_is_an_error(client: BaseClient, stub: Stubber) -> None:
    add(stub, {"PermissionSets": [A], "NextToken": "1"})
    stub.add_client_error("list_permission_sets", "AccessDeniedException", "User is not authorized")

    with pytest.raises(PermissionDeniedError) as denied:
        list(read(client))
    assert denied.value.actions == ("sso:ListPermissionSets",)
    assert denied.value.__context__ is None


def iam_answers(*answers: dict[str, Any]) -> list[dict[str, Any]]:
    """What comes of IAM's answers to GetAccountAuthorizationDetails, whose lists share one marker."""
    session = botocore.session.Session()
    session.set_credentials("AKIAEXAMPLE", "secret")
    iam = session.create_client("iam", region_name="eu-west-1")
    marker: str | None = None
    with Stubber(iam) as stub:
        for answer in answers:
            stub.add_response(
                "get_account_authorization_details",
                answer,
                {"MaxItems": 1000, **({"Marker": marker} if marker else {})},
            )
            marker = answer.get("Marker")
        members = ("UserDetailList", "RoleDetailList")
        given = list(read_responses(iam, "GetAccountAuthorizationDetails", members))
        stub.assert_no_pending_responses()
    return given


def test_lists_that_share_a_marker_are_read_while_there_is_more() -> None:
    answers = (
        {"UserDetailList": [], "RoleDetailList": [], "IsTruncated": True, "Marker": "1"},
        {"RoleDetailList": [], "IsTruncated": True, "Marker": "2"},
        # A marker that comes without a word of more: going on loses nothing.
        {"UserDetailList": [], "Marker": "3"},
        {"UserDetailList": [], "IsTruncated": False, "Marker": "4"},
    )

    assert iam_answers(*answers) == list(answers)


def test_more_without_a_marker_is_an_error() -> None:
    with pytest.raises(TemporaryError, match="is truncated, but has no token"):
        iam_answers({"UserDetailList": [], "IsTruncated": True})


def test_an_answer_with_none_of_the_lists_is_an_error() -> None:
    with pytest.raises(TemporaryError, match="has no UserDetailList or RoleDetailList"):
        iam_answers({"Policies": [], "IsTruncated": False})
