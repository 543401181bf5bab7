"""Every call is decided by all policies that bind its caller, and denied in AWS's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ploy_connector_aws.sandbox.aws import (
    FULL_AWS_ACCESS,
    Group,
    Organisation,
    PermissionSet,
    Person,
    SeededOrganisation,
)
from tests.sandbox.aws.customer import EVERYTHING, EXTERNAL_ID, Customer, Denied, allow, policy, refusal

ALL_USERS = "arn:aws:identitystore:::user/*"


@pytest.fixture
def seeded(customer: Customer) -> SeededOrganisation:
    return customer.aws.seed(
        Organisation(
            owner_account_id=customer.account_id,
            people=(Person("anna"), Person("otto")),
            groups=(Group("Staff", members=("anna",)), Group("Other")),
            permission_sets=(PermissionSet("Developer"),),
        )
    )


def denied(customer: Customer, action: str, resource: str, reason: str, code: str = "AccessDeniedException") -> Denied:
    arn = f"arn:aws:sts::{customer.account_id}:assumed-role/Ploy/ploy-sync-1"
    text = f"User: {arn} is not authorized to perform: {action} on resource: {resource} {reason}"
    return Denied(code, 403 if code == "AccessDenied" else 400, text)


DENY_LISTING = {"Effect": "Deny", "Action": "identitystore:List*", "Resource": "*"}
LISTS = "identitystore:ListUsers"
NOT_USERS = allow("identitystore:ListGroups")


def test_nothing_allowed(customer: Customer, seeded: SeededOrganisation) -> None:
    client = customer.session("identitystore", NOT_USERS)
    assert refusal(client.list_users, IdentityStoreId=seeded.identity_store_id) == denied(
        customer, LISTS, ALL_USERS, f"because no identity-based policy allows the {LISTS} action"
    )


def test_an_explicit_deny_in_the_roles_policy(customer: Customer, seeded: SeededOrganisation) -> None:
    client = customer.session("identitystore", policy(*EVERYTHING["Statement"], DENY_LISTING))
    assert refusal(client.list_users, IdentityStoreId=seeded.identity_store_id) == denied(
        customer, LISTS, ALL_USERS, "with an explicit deny in an identity-based policy"
    )


def test_a_session_policy_can_only_take_away(customer: Customer, seeded: SeededOrganisation) -> None:
    listing = {"IdentityStoreId": seeded.identity_store_id}
    client = customer.session("identitystore", Policy=json.dumps(NOT_USERS))
    assert len(client.list_groups(**listing)["Groups"]) == 2
    assert refusal(client.list_users, **listing) == denied(
        customer, LISTS, ALL_USERS, f"because no session policy allows the {LISTS} action"
    )
    wide = customer.client(
        "identitystore", customer.assume(customer.role(NOT_USERS, role_name="Narrow"), Policy=json.dumps(EVERYTHING))
    )
    assert refusal(wide.list_users, **listing).message.endswith(
        f"because no identity-based policy allows the {LISTS} action"
    )


def test_an_explicit_deny_in_the_session_policy(customer: Customer, seeded: SeededOrganisation) -> None:
    client = customer.session("identitystore", Policy=json.dumps(policy(*EVERYTHING["Statement"], DENY_LISTING)))
    assert refusal(client.list_users, IdentityStoreId=seeded.identity_store_id) == denied(
        customer, LISTS, ALL_USERS, "with an explicit deny in a session policy"
    )


def test_a_permissions_boundary(customer: Customer, seeded: SeededOrganisation) -> None:
    boundary = customer.aws.accounts.create_managed_policy(customer.account_id, "Boundary", NOT_USERS)
    client = customer.session("identitystore", EVERYTHING, RoleSessionName="ploy-sync-1")
    bound = customer.client("identitystore", customer.assume(customer.role(role_name="Bound", boundary=boundary)))
    assert client.list_users(IdentityStoreId=seeded.identity_store_id)["Users"]
    assert refusal(bound.list_users, IdentityStoreId=seeded.identity_store_id).message.endswith(
        f"because no permissions boundary allows the {LISTS} action"
    )


def test_service_control_policies(customer: Customer, seeded: SeededOrganisation) -> None:
    client = customer.session("identitystore")
    set_policies = customer.aws.accounts.set_service_control_policies
    set_policies(customer.account_id, [FULL_AWS_ACCESS, policy(DENY_LISTING)])
    assert refusal(client.list_users, IdentityStoreId=seeded.identity_store_id) == denied(
        customer, LISTS, ALL_USERS, "with an explicit deny in a service control policy"
    )
    set_policies(customer.account_id, [NOT_USERS])
    assert refusal(client.list_users, IdentityStoreId=seeded.identity_store_id) == denied(
        customer, LISTS, ALL_USERS, f"because no service control policy allows the {LISTS} action"
    )
    set_policies(customer.account_id, None)
    assert client.list_users(IdentityStoreId=seeded.identity_store_id)["Users"]


def test_a_deny_is_named_before_a_missing_allow(customer: Customer, seeded: SeededOrganisation) -> None:
    client = customer.session("identitystore", NOT_USERS, Policy=json.dumps(policy(DENY_LISTING)))
    assert refusal(client.list_users, IdentityStoreId=seeded.identity_store_id).message.endswith(
        "with an explicit deny in a session policy"
    )


def test_when_nothing_allows_it_the_outermost_policy_is_named(customer: Customer, seeded: SeededOrganisation) -> None:
    client = customer.session("identitystore", NOT_USERS, Policy=json.dumps(NOT_USERS))
    listing = {"IdentityStoreId": seeded.identity_store_id}
    assert "no identity-based policy" in refusal(client.list_users, **listing).message
    customer.aws.accounts.set_service_control_policies(customer.account_id, [NOT_USERS])
    assert "no service control policy" in refusal(client.list_users, **listing).message


def test_iam_denies_in_its_own_protocol(customer: Customer) -> None:
    client = customer.session("iam", NOT_USERS)
    assert refusal(client.list_users) == denied(
        customer,
        "iam:ListUsers",
        "*",
        "because no identity-based policy allows the iam:ListUsers action",
        "AccessDenied",
    )


def test_a_policy_of_awss_own_can_be_attached(customer: Customer) -> None:
    role = customer.role(policy(DENY_LISTING), managed_policies=("arn:aws:iam::aws:policy/IAMReadOnlyAccess",))
    credentials = customer.assume(role)
    assert [row["Arn"] for row in customer.client("iam", credentials).list_roles()["Roles"]] == [role]
    assert refusal(customer.client("sso-admin", credentials).list_instances).code == "AccessDeniedException"


def test_a_permission_taken_away_is_felt_by_a_running_session(customer: Customer, seeded: SeededOrganisation) -> None:
    role = customer.role()
    client = customer.client("identitystore", customer.assume(role))
    assert client.list_users(IdentityStoreId=seeded.identity_store_id)["Users"]
    customer.aws.accounts.set_role_policy(role, NOT_USERS)
    assert refusal(client.list_users, IdentityStoreId=seeded.identity_store_id).code == "AccessDeniedException"


def test_every_arn_that_an_action_needs_is_asked_for(customer: Customer, seeded: SeededOrganisation) -> None:
    """AWS.md 1.6: a policy scoped to a group must also allow the store, the user and the memberships."""
    staff, anna = seeded.groups["Staff"], seeded.users["anna"]
    otto, membership = seeded.users["otto"], seeded.memberships[staff, anna]
    store, instance = seeded.identity_store_id, seeded.instance_arn
    permission_set = seeded.permission_sets["Developer"]
    store_arn = f"arn:aws:identitystore::{customer.account_id}:identitystore/{store}"
    directory = "arn:aws:identitystore:::"
    member = {"IdentityStoreId": store, "GroupId": staff, "MemberId": {"UserId": anna}}
    in_set = {"InstanceArn": instance, "PermissionSetArn": permission_set}
    calls: dict[tuple[str, str], tuple[dict[str, Any], list[str]]] = {
        ("identitystore", "ListUsers"): ({"IdentityStoreId": store}, [f"{directory}user/*", store_arn]),
        ("identitystore", "ListGroups"): ({"IdentityStoreId": store}, [f"{directory}group/*", store_arn]),
        ("identitystore", "DescribeUser"): (
            {"IdentityStoreId": store, "UserId": anna},
            [f"{directory}user/{anna}", store_arn],
        ),
        ("identitystore", "ListGroupMemberships"): (
            {"IdentityStoreId": store, "GroupId": staff},
            [f"{directory}membership/*", f"{directory}group/{staff}", store_arn],
        ),
        ("identitystore", "GetGroupMembershipId"): (
            member,
            [f"{directory}group/{staff}", f"{directory}membership/*", f"{directory}user/{anna}", store_arn],
        ),
        ("identitystore", "DeleteGroupMembership"): (
            {"IdentityStoreId": store, "MembershipId": membership},
            [f"{directory}group/{staff}", f"{directory}membership/{membership}", f"{directory}user/{anna}", store_arn],
        ),
        ("identitystore", "CreateGroupMembership"): (
            {**member, "MemberId": {"UserId": otto}},
            [f"{directory}group/{staff}", f"{directory}user/{otto}", store_arn],
        ),
        ("sso-admin", "ListPermissionSets"): ({"InstanceArn": instance}, [instance]),
        ("sso-admin", "DescribePermissionSet"): (in_set, [instance, permission_set]),
        ("sso-admin", "ListManagedPoliciesInPermissionSet"): (in_set, [instance, permission_set]),
        ("sso-admin", "ListCustomerManagedPolicyReferencesInPermissionSet"): (in_set, [instance, permission_set]),
        ("sso-admin", "ListAccountAssignmentsForPrincipal"): (
            {"InstanceArn": instance, "PrincipalId": anna, "PrincipalType": "USER"},
            [instance],
        ),
        ("sso-admin", "ListInstances"): ({}, ["*"]),
    }
    role = customer.role()
    credentials = customer.assume(role)
    clients = {service: customer.client(service, credentials) for service in ("identitystore", "sso-admin")}
    for (service, operation), (parameters, arns) in calls.items():
        method = getattr(clients[service], snake(operation))
        action = f"{'sso' if service == 'sso-admin' else service}:{operation}"
        for missing in arns:
            allowed = [allow(action, resource=arn)["Statement"][0] for arn in arns if arn != missing]
            other = allow(action, resource="arn:aws:identitystore:::user/missing")["Statement"]
            customer.aws.accounts.set_role_policy(role, policy(*allowed, *other))
            reason = f"because no identity-based policy allows the {action} action"
            assert refusal(method, **parameters) == denied(customer, action, missing, reason)
        customer.aws.accounts.set_role_policy(role, allow(action, resource=arns))
        method(**parameters)


def test_conditions_on_the_primary_region_can_be_met(customer: Customer, seeded: SeededOrganisation) -> None:
    for service, key, operation, parameters in (
        ("identitystore", "identitystore:PrimaryRegion", "list_users", {"IdentityStoreId": seeded.identity_store_id}),
        ("sso-admin", "sso:PrimaryRegion", "list_permission_sets", {"InstanceArn": seeded.instance_arn}),
    ):
        outcomes = []
        for region in ("eu-west-1", "us-east-1"):
            permissions = allow("*", Condition={"StringEquals": {key: region}})
            role = customer.role(permissions, role_name=f"{service}-{region}")
            client = customer.client(service, customer.assume(role))
            try:
                getattr(client, operation)(**parameters)
                outcomes.append("answered")
            except client.exceptions.AccessDeniedException:
                outcomes.append("denied")
        assert outcomes == ["answered", "denied"]


@pytest.mark.parametrize(
    ("service", "call", "what"),
    [
        ("identitystore", lambda client: client.list_identity_stores(), "the action identitystore:ListIdentityStores"),
        ("sso-admin", lambda client: client.list_applications(InstanceArn="x"), "the action sso:ListApplications"),
        ("sts", lambda client: client.get_session_token(), "the action sts:GetSessionToken"),
        ("iam", lambda client: client.get_user(), "the action iam:GetUser"),
        ("sns", lambda client: client.list_topics(), "the service sns"),
        ("sqs", lambda client: client.get_queue_url(QueueName="q"), "the action sqs:GetQueueUrl"),
        ("lambda", lambda client: client.list_layers(), "the action lambda:GET /2018-10-31/layers"),
        ("s3", lambda client: client.list_objects_v2(Bucket="some-bucket"), "the action s3:GET /some-bucket"),
    ],
)
def test_what_the_local_aws_was_not_taught_is_refused_loudly(
    customer: Customer, service: str, call: Any, what: str
) -> None:
    client = customer.session(service)
    assert refusal(lambda: call(client)) == Denied("NotKnownToTheSandbox", 501, f"The local AWS does not know {what}.")


def test_who_am_i_is_answered_even_where_everything_is_denied(customer: Customer) -> None:
    nothing = policy({"Effect": "Deny", "Action": "*", "Resource": "*"})
    client = customer.session("sts", nothing, Policy=json.dumps(nothing))
    assert client.get_caller_identity()["Account"] == customer.account_id


def test_the_external_id_is_in_no_error(customer: Customer) -> None:
    role = customer.role()
    customer.aws.faults.deny("AssumeRole")
    refused = refusal(customer.sts.assume_role, RoleArn=role, RoleSessionName="ploy", ExternalId=EXTERNAL_ID)
    assert EXTERNAL_ID not in refused.message


def snake(operation: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in operation).lstrip("_")
