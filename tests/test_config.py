"""The settings of an integration: valid values, and the message for each invalid one."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from ploy_connector_aws.config import SCOPE_DEPENDENCIES, SCOPE_GROUPS, AwsConfig, config_schema
from ploy_connector_aws.host import parse_setting
from ploy_connector_aws.spec import ConfigurationError

EXTERNAL_ID = "6f2c1d3e-5b0a-4a55-9e43-b1b0c5a9d7e2"
SETTINGS: dict[str, Any] = {
    "account_id": "111122223333",
    "region": "eu-west-1",
    "role_arn": "arn:aws:iam::111122223333:role/integrations/Ploy",
    "external_id": EXTERNAL_ID,
}


def test_correct_settings_are_taken_and_read_everything_by_default() -> None:
    config = AwsConfig.from_settings(SETTINGS)

    assert (config.account_id, config.region, config.role_arn, config.scopes) == (
        "111122223333",
        "eu-west-1",
        "arn:aws:iam::111122223333:role/integrations/Ploy",
        tuple(SCOPE_DEPENDENCIES),
    )
    assert config.external_id.get_secret_value() == EXTERNAL_ID


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("account_id", "1111-2222-3333", "must be 12 digits"),
        ("account_id", "11112222333\u0664", "must be 12 digits"),
        ("account_id", 111122223333, "must be text"),
        ("account_id", "010526237970", "Ploy's own AWS account"),
        ("region", "eu-atlantis-1", "not the name of an AWS Region"),
        ("region", "eu-west-1 ", "not the name of an AWS Region"),
        ("region", "cn-north-1", "partition aws-cn"),
        ("region", "us-gov-west-1", "partition aws-us-gov"),
        ("region", "eusc-de-east-1", "partition aws-eusc"),
        ("role_arn", "Ploy", "must look like"),
        ("role_arn", "arn:aws:iam::111122223333:role/", "must look like"),
        ("role_arn", "arn:aws:iam::111122223333:role/Pl oy", "must look like"),
        ("role_arn", "arn:aws:iam::111122223333:group/Ploy", "must look like"),
        ("role_arn", "arn:aws:iam::444455556666:role/Ploy", "in the AWS account 444455556666"),
        ("role_arn", "arn:aws:iam::010526237970:role/Ploy", "Ploy's own AWS account"),
        ("role_arn", "arn:aws-cn:iam::111122223333:role/Ploy", "partition aws-cn"),
        ("role_arn", "arn:aws-us-gov:iam::111122223333:role/Ploy", "partition aws-us-gov"),
        ("role_arn", "arn:aws-eusc:iam::111122223333:role/Ploy", "partition aws-eusc"),
        ("role_arn", "arn:aws:iam::111122223333:root", "account's root"),
        ("role_arn", "arn:aws:iam::111122223333:user/ploy", "is a user"),
        ("role_arn", "arn:aws:sts::111122223333:assumed-role/Ploy/session", "session of a role"),
        ("external_id", "short", "shorter than 16"),
        ("external_id", EXTERNAL_ID + " ", "white space"),
        ("external_id", EXTERNAL_ID + "*", "letters, digits"),
        ("external_id", EXTERNAL_ID + "é", "letters, digits"),
        ("external_id", "x" * 1225, "1,224"),
        ("scopes", [], "nothing would be read"),
        ("scopes", ["identity-centre"], "Unknown scope; the scopes are "),
        ("scopes", "identity-center", "must be a list"),
        ("direct_assignments", "false", "must be true or false"),
        ("change_externally_managed", 1, "must be true or false"),
        ("scopes", ["identity-center/groups"], "without identity-center/users"),
        ("scopes", ["identity-center/users", "identity-center/assignments"], "without identity-center/groups"),
        ("endpoint_url", "https://collector.example", "AWS_ENDPOINT_URL"),
        ("colour", "red", "Unknown setting colour; "),
    ],
)
def test_a_wrong_setting_is_named_and_explained_in_one_sentence(setting: str, value: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AwsConfig.from_settings({**SETTINGS, setting: value})

    assert refused.value.field == setting
    assert sentence in refused.value.message
    assert refused.value.message.endswith(".")
    assert EXTERNAL_ID not in refused.value.message


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_missing_setting_is_named(setting: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AwsConfig.from_settings({name: value for name, value in SETTINGS.items() if name != setting})

    assert (refused.value.field, refused.value.message) == (setting, f"The setting {setting} is missing.")


@pytest.mark.parametrize("bad", ["short-secret", "secret with spaces in it", "secret-with-stars-*****"])
def test_external_id_is_never_repeated(bad: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AwsConfig.from_settings({**SETTINGS, "external_id": bad})

    assert bad not in str(refused.value) + repr(refused.value) + repr(refused.value.__cause__)
    assert EXTERNAL_ID not in repr(AwsConfig.from_settings(SETTINGS))


def test_every_region_of_botocore_is_accepted_or_named_by_partition() -> None:
    session = botocore.session.Session()
    found: dict[str, str] = {}
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("ec2", partition):
            try:
                AwsConfig.from_settings({**SETTINGS, "region": region})
                found[region] = "aws"
            except ConfigurationError as error:
                found[region] = error.message.split(" partition ")[1].split(".")[0]

    assert found == {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    }


def test_named_scopes_are_kept_in_the_order_of_reading() -> None:
    config = AwsConfig.from_settings({**SETTINGS, "scopes": ["identity-center/groups", "identity-center/users"]})

    assert config.scopes == ("identity-center/users", "identity-center/groups")
    assert not config.includes("identity-center/assignments")


def test_iam_and_identity_center_are_read_without_each_other() -> None:
    def read_with(*scopes: str) -> tuple[str, ...]:
        return AwsConfig.from_settings({**SETTINGS, "scopes": list(scopes)}).scopes

    of_identity_center = tuple(scope for scope in SCOPE_DEPENDENCIES if scope.startswith("identity-center/"))
    assert read_with("iam") == ("iam",)
    assert read_with("identity-center") == of_identity_center
    assert read_with("iam", "identity-center") == (*of_identity_center, "iam")


@pytest.mark.parametrize("group", SCOPE_GROUPS)
def test_a_group_stands_for_all_its_scopes(group: str) -> None:
    config = AwsConfig.from_settings({**SETTINGS, "scopes": [group]})

    assert config.scopes == SCOPE_GROUPS[group]


def test_a_group_and_single_scopes_can_be_named_together() -> None:
    config = AwsConfig.from_settings({**SETTINGS, "scopes": ["s3/buckets", "identity-center", "ecs/clusters"]})

    assert config.scopes == (*SCOPE_GROUPS["identity-center"], "s3/buckets", "ecs/clusters")


def test_the_schema_hides_the_secret_and_describes_every_setting() -> None:
    schema: Any = config_schema()

    assert schema["required"] == ["account_id", "region", "role_arn", "external_id"]
    assert schema["additionalProperties"] is False
    assert {name: value.get("writeOnly", False) for name, value in schema["properties"].items()} == {
        "account_id": False,
        "region": False,
        "role_arn": False,
        "external_id": True,
        "scopes": False,
        "change_groups": False,
        "change_externally_managed": False,
        "direct_assignments": False,
        "read_account_names": False,
        "names": False,
    }
    assert all(value["description"].endswith(".") for value in schema["properties"].values())


@pytest.mark.parametrize(
    ("name", "typed", "setting"),
    [
        ("account_id", "1111-2222-3333", "111122223333"),
        ("account_id", " 1111\u20112222\u00a03333 ", "111122223333"),
        ("region", "eu-west-1", "eu-west-1"),
        ("role_arn", "arn:aws:iam::111122223333:role/path/Ploy", "arn:aws:iam::111122223333:role/path/Ploy"),
    ],
)
def test_what_a_host_reads_by_the_schema_is_a_setting_that_is_taken(name: str, typed: str, setting: str) -> None:
    schema: Any = config_schema()["properties"]

    assert parse_setting(schema[name], typed) == setting
    assert getattr(AwsConfig.from_settings({**SETTINGS, name: setting}), name) == setting


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("account_id", "1234-5678-901"),
        ("account_id", "\u0661" * 12),
        ("region", "Frankfurt"),
        ("region", "us-gov-west-1"),
        ("region", "eu-west-1a"),
        ("role_arn", "Ploy"),
    ],
)
def test_a_host_refuses_by_the_schema_with_a_sentence_what_is_no_such_setting(name: str, typed: str) -> None:
    schema: Any = config_schema()["properties"]

    with pytest.raises(ValueError, match=r"^must be [a-z]+ .+ e\.g\. [a-z0-9]+") as refused:
        parse_setting(schema[name], typed)
    assert not set("^$\\[]") & set(str(refused.value))
    with pytest.raises(ConfigurationError):
        AwsConfig.from_settings({**SETTINGS, name: typed})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"1111-2222-3333": "A"}, "Each name must be that of an AWS account, given by its 12 digits"),
        ({"111122223333": ""}, "The name of the AWS account 111122223333 must be one line of 1 to 128 characters."),
        ({"111122223333": " A"}, "must be one line"),
        ({"111122223333": "A\nB"}, "must be one line"),
        ({"111122223333": "A" * 129}, "must be one line"),
        ({"111122223333": 3}, "The setting names must be text."),
        ("111122223333 = A", "The setting names must be a table."),
    ],
)
def test_name_of_an_aws_account_that_cannot_be_one_is_rejected(names: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        AwsConfig.from_settings({**SETTINGS, "names": names})
    assert message in raised.value.message
    assert raised.value.field == "names"


def test_name_of_an_aws_account_is_taken_as_typed() -> None:
    names = {"111122223333": "Zahlungen (Prod), A&B", "111122223334": "x"}
    assert AwsConfig.from_settings({**SETTINGS, "names": names}).names == names
