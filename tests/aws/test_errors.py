"""What AWS's errors mean, code by code."""

from __future__ import annotations

from typing import Any

import pytest
from botocore import exceptions
from botocore.exceptions import ClientError
from botocore.retries.standard import ThrottledRetryableChecker

from ploy_connector_aws.aws.client.api_errors import THROTTLED_CODES, ApiCall
from ploy_connector_aws.aws.client.errors import (
    AlreadyExistsError,
    NotAppliedError,
    RegionNotEnabledError,
    to_connector_error,
)
from ploy_connector_aws.spec import (
    AuthenticationError,
    ConnectorError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
    TemporaryError,
)

PERMISSION_SET = "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-0123456789abcdef"
INSTANCE = "arn:aws:sso:::instance/ssoins-0123456789abcdef"
USER = "0123456789-c78cc565-9299-47d3-ac6e-8245b8344413"
LIST_USERS = ApiCall("identitystore", "ListUsers", {"IdentityStoreId": "d-0123456789"})
DESCRIBE_SET = ApiCall(
    "sso-admin", "DescribePermissionSet", {"InstanceArn": INSTANCE, "PermissionSetArn": PERMISSION_SET}
)
ASSIGNMENTS = ApiCall(
    "sso-admin",
    "ListAccountAssignmentsForPrincipal",
    {"InstanceArn": INSTANCE, "PrincipalId": USER, "PrincipalType": "USER"},
)
DATABASE = "arn:aws:rds:eu-west-1:111122223333:db:x"
CLUSTER = "arn:aws:ecs:eu-west-1:111122223333:cluster/x"
DATABASE_TAGS = ApiCall("rds", "ListTagsForResource", {"ResourceName": DATABASE})
CLUSTER_TAGS = ApiCall("ecs", "ListTagsForResource", {"resourceArn": CLUSTER})


def answer(code: str, message: str = "", operation: str = "ListUsers", **members: Any) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": message},
            "ResponseMetadata": {"RequestId": "request-1", "HTTPStatusCode": 400},
            **members,
        },
        operation,
    )


def translate(error: Exception, call: ApiCall = LIST_USERS) -> ConnectorError:
    return to_connector_error(error, call)


@pytest.mark.parametrize("code", ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"])
def test_a_denial_names_the_action_and_the_statement_to_add(code: str) -> None:
    error = translate(answer(code))

    assert isinstance(error, PermissionDeniedError)
    assert (error.actions, error.request_id, error.message, error.fix) == (
        ("identitystore:ListUsers",),
        "request-1",
        "The role may not call identitystore:ListUsers: AWS denied it.",
        'Add this statement to the role\'s policy: {"Effect":"Allow","Action":["identitystore:ListUsers"],'
        '"Resource":"*"}',
    )


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (answer("ConflictException", Reason="UNIQUENESS_CONSTRAINT_VIOLATION"), AlreadyExistsError),
        (answer("ConflictException", Reason="CONCURRENT_MODIFICATION"), NotAppliedError),
        (answer("ConflictException"), NotAppliedError),
        (answer("ThrottlingException"), NotAppliedError),
    ],
)
def test_calls_without_effect_are_distinguished_from_calls_with_an_unknown_effect(
    reply: ClientError, kind: type[TemporaryError]
) -> None:
    assert type(translate(reply)) is kind


def test_a_used_up_quota_is_for_a_person() -> None:
    error = translate(answer("ServiceQuotaExceededException"))

    assert isinstance(error, RejectedError)
    assert (error.reason, error.request_id) == ("quota_exceeded", "request-1")


def test_a_denied_permission_set_call_may_also_mean_that_it_is_a_member_account() -> None:
    error = translate(answer("AccessDeniedException"), DESCRIBE_SET)

    assert error.fix is not None
    assert error.fix.startswith("Add this statement")
    assert error.fix.endswith("management account or a delegated administrator of IAM Identity Center")


@pytest.mark.parametrize(
    ("text", "by"),
    [
        ("with an explicit deny in a service control policy", "service control policy"),
        ("with an explicit deny in a resource control policy", "resource control policy"),
        ("because no permissions boundary allows the action", "permissions boundary"),
        ("with an explicit deny in an identity-based policy", "Deny statement"),
        ("because no VPC endpoint policy allows the action", "VPC endpoint"),
    ],
)
def test_a_denial_from_elsewhere_does_not_ask_for_a_statement(text: str, by: str) -> None:
    error = translate(answer("AccessDeniedException", f"User: x is not authorized to perform: y {text}"))

    assert isinstance(error, PermissionDeniedError)
    assert by in error.message
    assert error.fix is not None
    assert "statement to the role" not in error.fix


@pytest.mark.parametrize(
    "denial",
    [
        answer("AccessDeniedException", Reason="KMS_ACCESS_DENIED"),
        answer("AccessDeniedException", Reason="KMS_AccessDeniedException"),
        answer("AccessDeniedException", "not authorized to perform: kms:Decrypt on the resource"),
    ],
)
def test_a_denied_key_is_its_own_missing_permission(denial: ClientError) -> None:
    error = translate(denial)

    assert isinstance(error, PermissionDeniedError)
    assert error.actions == ("kms:Decrypt",)
    assert error.fix is not None
    assert "kms:ViaService" in error.fix


@pytest.mark.parametrize(
    "unusable",
    [
        answer("ValidationException", Reason="KMS_DISABLED"),
        answer("ValidationException", Reason="KMS_DisabledException"),
        answer("ResourceNotFoundException", Reason="KMS_KEY_NOT_FOUND"),
    ],
)
def test_a_key_that_cannot_be_used_is_for_a_person(unusable: ClientError) -> None:
    error = translate(unusable)

    assert isinstance(error, RejectedError)
    assert error.reason == "kms_key_unusable"


@pytest.mark.parametrize("code", sorted(THROTTLED_CODES))
def test_throttling_after_all_retries_is_temporary_and_has_the_pause(code: str) -> None:
    error = translate(answer(code, RetryAfterSeconds=7))

    assert isinstance(error, TemporaryError)
    assert (error.retry_after_seconds, error.request_id) == (7, "request-1")
    assert "throttled" in error.message


def test_all_that_botocore_retries_as_throttled_is_known_as_throttled() -> None:
    # A transaction in progress is retried like throttling by botocore, but slower calls would not help.
    codes = set(ThrottledRetryableChecker._THROTTLED_ERROR_CODES) - {"TransactionInProgressException"}

    assert codes - THROTTLED_CODES == set()


@pytest.mark.parametrize("code", ["InternalServerException", "ServiceUnavailable", "503", "", "What ever?"])
def test_other_troubles_of_aws_are_temporary(code: str) -> None:
    assert type(translate(answer(code))) is TemporaryError


@pytest.mark.parametrize(
    "code",
    ["UnrecognizedClientException", "InvalidClientTokenId", "AuthFailure", "InvalidAccessKeyId", "InvalidToken"],
)
def test_unknown_credentials_in_one_region_may_mean_that_it_is_not_enabled(code: str) -> None:
    assert type(translate(answer(code))) is RegionNotEnabledError


@pytest.mark.parametrize("code", ["ExpiredTokenException", "SignatureDoesNotMatch", "RequestTimeTooSkewed"])
def test_rejected_credentials_are_an_authentication_error_that_quotes_nothing(code: str) -> None:
    error = translate(answer(code, "The canonical string was x-amz-security-token:SECRET"))

    assert type(error) is AuthenticationError
    assert "SECRET" not in f"{error.message}{error.fix}"


@pytest.mark.parametrize(
    ("error", "call", "kind", "id_"),
    [
        (
            answer("ResourceNotFoundException", ResourceType="USER", ResourceId=USER),
            LIST_USERS,
            "USER",
            USER,
        ),
        (
            answer("ResourceNotFoundException", ResourceType="USER", ResourceId=f"arn:aws:identitystore:::user/{USER}"),
            LIST_USERS,
            "USER",
            USER,
        ),
        (answer("ResourceNotFoundException", ResourceType="IDENTITY_STORE"), LIST_USERS, "IDENTITY_STORE", None),
        (answer("ResourceNotFoundException"), LIST_USERS, None, None),
        # RDS and ECS name the kind by the code; one thing alone was asked about.
        (answer("DBInstanceNotFound", "DBInstance x not found."), DATABASE_TAGS, "DB_INSTANCE", DATABASE),
        (answer("ClusterNotFoundException", "Cluster not found."), CLUSTER_TAGS, "CLUSTER", CLUSTER),
        (answer("ResourceNotFoundException", f"{CLUSTER} not found."), CLUSTER_TAGS, None, None),
        (
            answer("ResourceNotFoundException", "Could not find PermissionSet with id ps-0123456789abcdef"),
            DESCRIBE_SET,
            "PERMISSION_SET",
            PERMISSION_SET,
        ),
        (
            answer("ResourceNotFoundException", f"No such permission set: {PERMISSION_SET}."),
            DESCRIBE_SET,
            "PERMISSION_SET",
            PERMISSION_SET,
        ),
        (answer("ResourceNotFoundException", f"Instance {INSTANCE} was not found"), DESCRIBE_SET, "INSTANCE", INSTANCE),
        (answer("ResourceNotFoundException", "ps-0123456789abcdef0 is not found"), DESCRIBE_SET, None, None),
        (answer("ResourceNotFoundException", f"USER with id {USER} was not found."), ASSIGNMENTS, "USER", USER),
        (answer("ResourceNotFoundException", f"USER with id x-{USER} was not found."), ASSIGNMENTS, None, None),
        (answer("ResourceNotFoundException", "Principal was not found."), ASSIGNMENTS, None, None),
        # What else is named may be what is missing: the instance by its ARN or id, the store, something never heard of.
        *(
            (answer("ResourceNotFoundException", f"{what} was not found for principal {USER}"), ASSIGNMENTS, None, None)
            for what in (INSTANCE, "Instance ssoins-0123456789abcdef", "d-0123456789", "Account 123456789012")
        ),
        (
            answer("ResourceNotFoundException", f"{INSTANCE} has no ps-0123456789abcdef"),
            DESCRIBE_SET,
            None,
            None,
        ),
        # Fields decide before the text.
        (
            answer("ResourceNotFoundException", f"{USER} was not found", ResourceType="INSTANCE"),
            ASSIGNMENTS,
            "INSTANCE",
            None,
        ),
        (
            answer("ResourceNotFoundException", f"{USER} was not found", ResourceId="ssoins-0123456789abcdef"),
            ASSIGNMENTS,
            None,
            "ssoins-0123456789abcdef",
        ),
    ],
)
def test_a_not_found_names_only_what_aws_named(
    error: ClientError, call: ApiCall, kind: str | None, id_: str | None
) -> None:
    found = translate(error, call)

    assert isinstance(found, NotFoundError)
    assert (found.kind, found.id) == (kind, id_)


@pytest.mark.parametrize(
    ("call", "text", "kind"),
    [
        (ASSIGNMENTS, "USER with id {id} was not found.", "USER"),
        (ASSIGNMENTS, "User {id} not found", "USER"),
        (ASSIGNMENTS, "The principal '{id}' does not exist.", "USER"),
        (ASSIGNMENTS, "Could not find principal with id: {id}", "USER"),
        (DESCRIBE_SET, "Could not find PermissionSet with id {id}", "PERMISSION_SET"),
        (DESCRIBE_SET, "Permission set ({id}) does not exist", "PERMISSION_SET"),
        (ASSIGNMENTS, "The instance of principal {id} was not found", None),
        (ASSIGNMENTS, "Identity store for {id} does not exist", None),
        (ASSIGNMENTS, "Could not find user with id {id} in directory d-abcdefabcd", None),
        (ASSIGNMENTS, "Could not find user with id {id} in the directory", None),
        (ASSIGNMENTS, "No such account for user {id}", None),
        (ASSIGNMENTS, "The application that {id} is assigned to was not found", None),
        (ASSIGNMENTS, "USER {id} has no permission set", None),
        (ASSIGNMENTS, "GROUP with id {id} was not found.", None),
        (DESCRIBE_SET, "Principal {id} was not found.", None),
        (DESCRIBE_SET, "The policy of permission set {id} does not exist", None),
        (DESCRIBE_SET, "{id} was not found in ssoins-abcdefabcdefabcd", None),
    ],
)
def test_a_text_is_believed_only_where_it_speaks_of_nothing_but_that_one_thing(
    call: ApiCall, text: str, kind: str | None
) -> None:
    asked = call.parameters.get("PrincipalId") or call.parameters["PermissionSetArn"]
    for named in {asked, asked.rpartition("/")[2]}:
        found = translate(answer("ResourceNotFoundException", text.format(id=named)), call)
        assert isinstance(found, NotFoundError)
        assert (found.kind, found.id) == ((kind, asked) if kind else (None, None))


@pytest.mark.parametrize(
    "invalid",
    [
        *(
            answer(code)
            for code in (
                "ValidationException",
                "InvalidArgument",
                "InvalidParameterException",
                "InvalidParameterValue",
                "InvalidParameterValueException",
            )
        ),
        exceptions.ParamValidationError(report="Unknown parameter"),
    ],
)
def test_an_invalid_request_is_a_rejection_with_its_reason(invalid: Exception) -> None:
    error = translate(invalid)

    assert isinstance(error, RejectedError)
    assert error.reason == "invalid_request"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("AccessDenied", "AWS does not state which"),
        ("InvalidClientTokenId", "Ploy's own credentials"),
        ("ExpiredToken", "Ploy's own credentials"),
        ("SignatureDoesNotMatch", "Ploy's own credentials"),
        ("ValidationError", "maximum session duration"),
        ("RegionDisabledException", "switched off"),
        ("PackedPolicyTooLarge", "PackedPolicyTooLarge"),
    ],
)
def test_a_role_that_cannot_be_assumed_is_an_authentication_error_inside_whatever_call(code: str, text: str) -> None:
    error = translate(answer(code, "Value 'my-external-id' at 'externalId' failed", operation="AssumeRole"))

    assert isinstance(error, AuthenticationError)
    assert text in error.message
    assert "my-external-id" not in f"{error.message}{error.fix}"


@pytest.mark.parametrize("code", ["Throttling", "ServiceUnavailable"])
def test_a_role_that_could_not_be_assumed_just_now_is_temporary(code: str) -> None:
    assert type(translate(answer(code, operation="AssumeRole"))) is TemporaryError


@pytest.mark.parametrize(
    "missing",
    [
        exceptions.NoCredentialsError(),
        exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        exceptions.ProfileNotFound(profile="gone"),
        exceptions.CredentialRetrievalError(provider="process", error_msg="secret text"),
    ],
)
def test_missing_credentials_are_ploys_own_affair(missing: Exception) -> None:
    error = translate(missing)

    assert type(error) is AuthenticationError
    assert error.message.startswith("Ploy's own AWS credentials")
    assert "secret text" not in error.message


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), "could not be reached"),
        (exceptions.ConnectTimeoutError(endpoint_url="https://x"), "took too long"),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), "took too long"),
        (exceptions.ConnectionClosedError(endpoint_url="https://x"), "connection broke"),
        (exceptions.ProxyConnectionError(proxy_url="https://user:password@x"), "proxy"),
        (exceptions.SSLError(endpoint_url="https://x", error="bad"), "certificate"),
        (exceptions.UnseekableStreamError(stream_object="x"), "UnseekableStreamError"),
        (AttributeError("secret text"), "could not be parsed (AttributeError)"),
    ],
)
def test_a_connection_error_is_temporary_and_its_message_quotes_nothing(trouble: Exception, text: str) -> None:
    error = translate(trouble)

    assert type(error) is TemporaryError
    assert text in error.message
    assert "password" not in f"{error.message}{error.fix}"
    assert "secret text" not in error.message
