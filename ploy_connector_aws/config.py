"""The settings of one integration: AWS account, Region, role, external ID, and the scopes to read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from .spec import ConfigurationError
from .spec.manifest import ERROR_MESSAGE, STRIP

PLOY_ACCOUNT_ID = "010526237970"
"""Ploy's own AWS account: the one that a customer's role trusts."""

PLOY_PARTITION = "aws"

MINIMUM_EXTERNAL_ID_LENGTH = 16
"""AWS accepts 2 characters. Ploy generates a GUID of 36; anything under 16 is man-made and can be guessed."""

IDENTITY_CENTER = "identity-center"

IAM = "iam"

RESOURCES = "resources"

RESOURCE_SCOPES = (
    "s3/buckets",
    "dynamodb/tables",
    "sqs/queues",
    "lambda/functions",
    "rds/instances",
    "ec2/instances",
    "ecs/clusters",
)
"""One scope per service whose resources are listed."""

SCOPE_DEPENDENCIES: dict[str, tuple[str, ...]] = {
    "identity-center/users": (),
    "identity-center/groups": ("identity-center/users",),
    "identity-center/permission-sets": (),
    "identity-center/assignments": (
        "identity-center/users",
        "identity-center/groups",
        "identity-center/permission-sets",
    ),
    IAM: (),
    **dict.fromkeys(RESOURCE_SCOPES, ()),
}
"""Every scope of the settings, with the scopes that it depends on."""

SCOPE_GROUPS: dict[str, tuple[str, ...]] = {
    IDENTITY_CENTER: tuple(scope for scope in SCOPE_DEPENDENCIES if scope.startswith(f"{IDENTITY_CENTER}/")),
    RESOURCES: RESOURCE_SCOPES,
}
"""Names that stand for several scopes, which the setting `scopes` also accepts."""

_DIRECTION = "(?:north|south|east|west|central|northeast|northwest|southeast|southwest)"

# The shapes of botocore's partitions.json, but narrower in the middle to detect typing errors.
_REGION_PATTERNS = {
    "aws": re.compile(rf"(?:us|eu|ap|sa|ca|me|af|il|mx)-{_DIRECTION}-[1-9]"),
    "aws-cn": re.compile(rf"cn-{_DIRECTION}-[1-9]"),
    "aws-us-gov": re.compile(rf"us-gov-{_DIRECTION}-[1-9]"),
    "aws-eusc": re.compile(rf"eusc-[a-z]{{2}}-{_DIRECTION}-[1-9]"),
    "aws-iso": re.compile(rf"us-iso-{_DIRECTION}-[1-9]"),
    "aws-iso-b": re.compile(rf"us-isob-{_DIRECTION}-[1-9]"),
    "aws-iso-e": re.compile(rf"eu-isoe-{_DIRECTION}-[1-9]"),
    "aws-iso-f": re.compile(rf"us-isof-{_DIRECTION}-[1-9]"),
}

_ACCOUNT_ID = re.compile(r"\d{12}", re.ASCII)
_ACCOUNT_NAME = re.compile(r"(?=\S)[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,128}(?<=\S)")
_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>iam|sts)::(?P<account>\d{12}):(?P<resource>\S+)", re.ASCII
)
_ROLE = re.compile(r"role/(?:[!-.0-~]{1,510}/)*[\w+=,.@-]{1,64}", re.ASCII)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]+", re.ASCII)

_NOT_A_ROLE = {
    "root": "is the account's root, which cannot be assumed",
    "user/": "is a user, which cannot be assumed",
    "assumed-role/": "is a session of a role; use the ARN of the role itself",
}


class AwsConfig(BaseModel):
    """The settings of one integration with one AWS account."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    account_id: str = Field(
        title="AWS account ID",
        description="The 12 digits of the AWS account to connect, with or without dashes.",
        json_schema_extra={
            "pattern": "^[0-9]{12}$",
            ERROR_MESSAGE: "must be the 12 digits of an AWS account, e.g. 1111-2222-3333",
            # The console shows dashes, and a copied value may have spaces.
            STRIP: r"[\s\u2010-\u2015-]",
        },
    )
    region: str = Field(
        title="Region",
        description="The AWS Region whose resources are read, e.g. eu-west-1. IAM Identity Center is always read "
        "in its own primary Region.",
        json_schema_extra={
            "pattern": f"^{_REGION_PATTERNS[PLOY_PARTITION].pattern}$",
            ERROR_MESSAGE: "must be the name of an AWS Region, e.g. eu-west-1; AWS China, AWS GovCloud and other "
            "AWS partitions are not supported",
        },
    )
    role_arn: str = Field(
        title="Role ARN",
        description=f"The role in that account that trusts Ploy's account {PLOY_ACCOUNT_ID}, e.g. "
        "arn:aws:iam::111122223333:role/Ploy.",
        json_schema_extra={
            "pattern": r"^arn:aws:iam::[0-9]{12}:role/\S+$",
            ERROR_MESSAGE: "must be the ARN of a role, e.g. arn:aws:iam::111122223333:role/Ploy",
        },
    )
    external_id: SecretStr = Field(
        title="External ID",
        description="The external ID that Ploy generated for this integration. The role's trust policy must "
        "require it.",
    )
    scopes: tuple[str, ...] = Field(
        default=(*SCOPE_GROUPS, IAM),
        title="What to read",
        validate_default=True,
        description="The scopes to read. 'identity-center' includes all of its scopes, 'resources' those of S3, "
        "DynamoDB, SQS, Lambda, RDS, EC2 and ECS.",
        json_schema_extra={
            "items": {"type": "string", "enum": [*SCOPE_GROUPS, *SCOPE_DEPENDENCIES]},
            "minItems": 1,
            "uniqueItems": True,
        },
    )
    change_groups: bool = Field(
        default=True,
        title="Change group memberships",
        strict=True,
        description="Allow adding people to IAM Identity Center groups and removing them. This needs three more "
        "permissions.",
    )
    change_externally_managed: bool = Field(
        default=False,
        title="Change identity provider groups",
        strict=True,
        description="Allow changing memberships of groups that an identity provider manages. The provider may undo the "
        "change at its next synchronization: revoked access may return.",
    )
    direct_assignments: bool = Field(
        default=False,
        title="Assign people directly",
        strict=True,
        description="Allow assigning a permission set in an AWS account directly to a person. This needs four more "
        "permissions that Ploy's setup guide does not list.",
    )

    read_account_names: bool = Field(
        default=False,
        title="Read the names of AWS accounts",
        strict=True,
        description="Read the names of all AWS accounts of the organization. This needs one more permission that "
        "Ploy's setup guide does not list, and works only in the management account or in a delegated administrator's.",
    )
    names: dict[str, str] = Field(
        default_factory=dict,
        title="Names of AWS accounts",
        description="Names for AWS accounts whose names are not read, such as 111122223333 = Production. An account "
        "without either is shown by its number.",
        json_schema_extra={
            "propertyNames": {"pattern": "^[0-9]{12}$"},
            ERROR_MESSAGE: "must have one line for each AWS account, such as 111122223333 = Production",
        },
    )

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> AwsConfig:
        """Validate settings.

        Args:
            settings: Values by name, as in ``config_schema``.

        Raises:
            ConfigurationError: One of them is invalid; ``field`` names it. The message never contains the external ID,
                unless it was entered as the name of a setting; a host redacts it there.
        """
        try:
            return cls.model_validate(dict(settings))
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _to_configuration_error(details)

    def includes(self, scope: str) -> bool:
        """Return whether to read a scope of ``SCOPE_DEPENDENCIES``."""
        return scope in self.scopes

    @field_validator("account_id")
    @classmethod
    def _check_account_id(cls, value: str) -> str:
        if not _ACCOUNT_ID.fullmatch(value):
            _reject("The AWS account ID must be 12 digits, without spaces or dashes.")
        if value == PLOY_ACCOUNT_ID:
            _reject(f"{value} is Ploy's own AWS account; enter the ID of your account.")
        return value

    @field_validator("names")
    @classmethod
    def _check_names(cls, value: dict[str, str]) -> dict[str, str]:
        for account_id, name in value.items():
            if not _ACCOUNT_ID.fullmatch(account_id):
                _reject("Each name must be that of an AWS account, given by its 12 digits, without spaces or dashes.")
            if not _ACCOUNT_NAME.fullmatch(name):
                _reject(f"The name of the AWS account {account_id} must be one line of 1 to 128 characters.")
        return value

    @field_validator("region")
    @classmethod
    def _check_region(cls, value: str) -> str:
        partition = next((name for name, shape in _REGION_PATTERNS.items() if shape.fullmatch(value)), None)
        if partition is None:
            _reject("The Region is not the name of an AWS Region; it must look like eu-west-1.")
        if partition != PLOY_PARTITION:
            _reject(f"The Region {value} belongs to the AWS partition {partition}. {_OTHER_PARTITION}")
        return value

    @field_validator("role_arn")
    @classmethod
    def _check_role_arn(cls, value: str, info: ValidationInfo) -> str:
        arn = _ARN.fullmatch(value)
        if arn is None:
            _reject("The role ARN must look like arn:aws:iam::111122223333:role/Ploy.")
        if arn["partition"] != PLOY_PARTITION:
            _reject(f"The role is in the AWS partition {arn['partition']}. {_OTHER_PARTITION}")
        for prefix, problem in _NOT_A_ROLE.items():
            if arn["resource"].startswith(prefix):
                _reject(f"The role ARN must be that of a role, but this one {problem}.")
        if arn["service"] != "iam" or not _ROLE.fullmatch(arn["resource"]):
            _reject("The role ARN must look like arn:aws:iam::111122223333:role/Ploy.")
        if arn["account"] == PLOY_ACCOUNT_ID:
            _reject("The role is in Ploy's own AWS account; it must be in your account.")
        account_id = info.data.get("account_id")
        if account_id is not None and arn["account"] != account_id:
            _reject(f"The role is in the AWS account {arn['account']}, but the account ID is {account_id}.")
        return value

    @field_validator("external_id")
    @classmethod
    def _check_external_id(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if any(character.isspace() for character in text):
            _reject("The external ID contains white space; copy it again from Ploy.")
        if len(text) < MINIMUM_EXTERNAL_ID_LENGTH:
            _reject(
                f"The external ID is shorter than {MINIMUM_EXTERNAL_ID_LENGTH} characters, so it could be guessed; "
                "use the one that Ploy generated, a GUID of 36 characters."
            )
        if len(text) > 1224 or not _EXTERNAL_ID.fullmatch(text):
            _reject(
                "The external ID may have at most 1,224 characters: letters, digits and any of _+=,.@:/- (AWS's rule)."
            )
        return value

    @field_validator("scopes")
    @classmethod
    def _expand_scopes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        known = (*SCOPE_GROUPS, *SCOPE_DEPENDENCIES)
        if not value:
            _reject("The list of scopes is empty, so nothing would be read; omit the setting to read everything.")
        if not set(value) <= set(known):  # not repeated: what was entered here may be a secret
            _reject(f"Unknown scope; the scopes are {', '.join(known)}.")
        named = {scope for name in value for scope in SCOPE_GROUPS.get(name, (name,))}
        scopes = [scope for scope in SCOPE_DEPENDENCIES if scope in named]
        for scope in scopes:
            missing = [needed for needed in SCOPE_DEPENDENCIES[scope] if needed not in scopes]
            if missing:
                _reject(f"The scope {scope} cannot be read without {', '.join(missing)}.")
        return tuple(scopes)


_OTHER_PARTITION = (
    f"Ploy's AWS account {PLOY_ACCOUNT_ID} is in the partition {PLOY_PARTITION}, and AWS does not allow roles "
    "to be assumed across partitions."
)


def config_schema() -> dict[str, JsonValue]:
    """Return the JSON Schema of the settings; the external ID is marked ``writeOnly``."""
    return AwsConfig.model_json_schema()


def _reject(message: str) -> NoReturn:
    # Not a ValueError: pydantic would prefix the message with "Value error, ". Braces would be taken for a template.
    raise PydanticCustomError("setting", "{message}", {"message": message})


def _to_configuration_error(details: ErrorDetails) -> ConfigurationError:
    field = str(details["loc"][0]) if details["loc"] else None
    match details["type"]:
        case "setting":
            message = details["msg"]
        case "missing":
            message = f"The setting {field} is missing."
        case "extra_forbidden" if field is not None and "endpoint" in field:
            message = (
                f"The setting {field} is not allowed: the operator's environment (AWS_ENDPOINT_URL) sets AWS's "
                "endpoint, never the settings."
            )
        case "extra_forbidden":
            message = f"Unknown setting {field}; the settings are {', '.join(AwsConfig.model_fields)}."
        case "bool_type":
            message = f"The setting {field} must be true or false."
        case "dict_type":
            message = f"The setting {field} must be a table."
        case "tuple_type":
            message = f"The setting {field} must be a list."
        case _:
            message = f"The setting {field} must be text."
    return ConfigurationError(message, field=field)
