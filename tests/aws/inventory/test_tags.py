"""Tags, and who the usual ones say a thing belongs to."""

from __future__ import annotations

import pytest

from ploy_connector_aws.aws.inventory.tags import find_owner, to_tags


@pytest.mark.parametrize(
    ("tags", "owner"),
    [
        ({}, None),
        ({"Name": "web", "env": "prod"}, None),
        ({"owner": "ana"}, "ana"),
        ({"Owner": " ana "}, "ana"),
        ({"OWNER_EMAIL": "ana@example.com"}, "ana@example.com"),
        ({"owner-email": "ana@example.com"}, "ana@example.com"),
        ({"acme:owner": "ana"}, "ana"),
        ({"acme.example/Technical Owner": "ana"}, "ana"),
        ({"team": "core", "owner": "ana"}, "ana"),
        ({"owner": "", "team": "core"}, "core"),
        ({"owner": "  "}, None),
        ({"Team": "core"}, "core"),
        ({"cost-owner-code": "4711"}, None),
        ({"ownership": "shared"}, None),
        ({"createdBy": "ana"}, None),
        # The same every time, whichever AWS names first.
        ({"owner": "ana", "Owner": "bo"}, "bo"),
        ({"Owner": "bo", "owner": "ana"}, "bo"),
    ],
)
def test_the_owner_is_taken_from_the_usual_tags(tags: dict[str, str], owner: str | None) -> None:
    assert find_owner(tags) == owner


def test_tags_have_two_spellings_and_may_have_no_value() -> None:
    assert to_tags([{"Key": "a", "Value": "1"}, {"key": "b", "value": "2"}, {"Key": "c"}]) == {
        "a": "1",
        "b": "2",
        "c": "",
    }
