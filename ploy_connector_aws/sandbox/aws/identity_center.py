"""The operations of sso-admin, from moto's state, as AWS responds where moto differs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.ssoadmin.models import AccountAssignment, PermissionSet

from .access_denied import AwsError, ErrorKind, common_error
from .instances import DirectoryCall, Instance
from .paging import Pager
from .requests import unsupported


def list_instances(visible: list[Instance], parameters: Mapping[str, Any], region: str, pager: Pager) -> dict[str, Any]:
    """ListInstances: only those of the called Region, unless the request has ALL_REGIONS (AWS.md 3.3)."""
    scope = parameters.get("RegionScope", "CURRENT_REGION")
    if scope not in ("CURRENT_REGION", "ALL_REGIONS"):
        raise AwsError("ValidationException", "RegionScope must be CURRENT_REGION or ALL_REGIONS.")
    rows = [instance for instance in visible if scope == "ALL_REGIONS" or instance.primary_region == region]
    return pager.page("Instances", rows, lambda instance: instance.arn, _instance)


def _instance(instance: Instance) -> dict[str, Any]:
    """An instance; moto lacks the primary Region, the Regions and the store's ARN."""
    primary = {"RegionName": instance.primary_region, "Status": "ACTIVE", "IsPrimaryRegion": True}
    members = {
        "InstanceArn": instance.arn,
        "IdentityStoreId": instance.identity_store_id,
        "IdentityStoreArn": instance.store_arn,
        "OwnerAccountId": instance.owner_account_id,
        "Name": instance.moto.name,
        "CreatedDate": instance.moto.created_date,
        "Status": instance.moto.status,
        "PrimaryRegion": instance.primary_region,
        "Regions": [primary],
    }
    return {name: value for name, value in members.items() if value is not None}


def list_permission_sets(call: DirectoryCall) -> dict[str, Any]:
    """ListPermissionSets: ARNs only."""
    sets = [row for row in call.instance.admin.permission_sets if row.instance_arn == call.instance.arn]
    return call.pager.page(
        "PermissionSets", sets, lambda row: row.permission_set_arn, lambda row: row.permission_set_arn
    )


def describe_permission_set(call: DirectoryCall) -> dict[str, Any]:
    """DescribePermissionSet; an empty description or relay state is left out."""
    members = _existing_set(call).to_json(include_creation_date=True)
    return {"PermissionSet": {name: value for name, value in members.items() if value}}


def list_managed_policies(call: DirectoryCall) -> dict[str, Any]:
    """ListManagedPoliciesInPermissionSet."""
    return call.pager.page(
        "AttachedManagedPolicies",
        _existing_set(call).managed_policies,
        lambda policy: policy.arn,
        lambda policy: {"Name": policy.name, "Arn": policy.arn},
    )


def list_customer_managed_policies(call: DirectoryCall) -> dict[str, Any]:
    """ListCustomerManagedPolicyReferencesInPermissionSet."""
    return call.pager.page(
        "CustomerManagedPolicyReferences",
        _existing_set(call).customer_managed_policies,
        lambda policy: policy.path + policy.name,
        lambda policy: {"Name": policy.name, "Path": policy.path},
    )


def list_account_assignments_for_principal(call: DirectoryCall) -> dict[str, Any]:
    """ListAccountAssignmentsForPrincipal.

    For a USER real AWS mixes the direct rows with those inherited from groups, whose PrincipalType is
    GROUP and whose PrincipalId is the group (AWS.md 3.1); moto gives the direct ones only.
    """
    kind, identifier = str(call.parameters.get("PrincipalType")), str(call.parameters.get("PrincipalId"))
    store = call.instance.store
    if kind not in ("USER", "GROUP"):
        raise AwsError("ValidationException", "PrincipalType must be USER or GROUP.")
    if identifier not in (store.users if kind == "USER" else store.groups):
        raise _not_found(f"{kind} with id {identifier} was not found.")
    principals = [(kind, identifier)]
    if kind == "USER":
        principals += [("GROUP", row["GroupId"]) for row in call.instance.memberships.of_user(identifier)]
    account_id = (call.parameters.get("Filter") or {}).get("AccountId")
    rows = [row for row in call.instance.assignments.of(principals) if account_id in (None, row.target_id)]
    return call.pager.page("AccountAssignments", rows, _assignment_key, _assignment)


def list_accounts_for_provisioned(call: DirectoryCall) -> dict[str, Any]:
    """ListAccountsForProvisionedPermissionSet: the accounts where it is assigned, or was provisioned without that."""
    if "ProvisioningStatus" in call.parameters:
        raise unsupported("the parameter ProvisioningStatus")
    arn = _existing_set(call).permission_set_arn
    provisioned = {account_id for each, account_id in call.instance.provisioned if each == arn}
    accounts = sorted(call.instance.assignments.accounts_of(arn) | provisioned)
    return call.pager.page("AccountIds", accounts, lambda account_id: account_id, lambda account_id: account_id)


def list_account_assignments(call: DirectoryCall) -> dict[str, Any]:
    """ListAccountAssignments: also the orphans, whose user or group was deleted (AWS.md 3.1)."""
    arn = _existing_set(call).permission_set_arn
    rows = call.instance.assignments.in_account(arn, str(call.parameters.get("AccountId")))
    return call.pager.page("AccountAssignments", rows, _assignment_key, _assignment)


def create_account_assignment(call: DirectoryCall) -> dict[str, Any]:
    """CreateAccountAssignment: starts a background job. An existing assignment is created again with success.

    AWS does not document that a second creation is no conflict; infrastructure tools rely on it.
    """
    return {"AccountAssignmentCreationStatus": _begin(call, _create)}


def delete_account_assignment(call: DirectoryCall) -> dict[str, Any]:
    """DeleteAccountAssignment: starts a background job, which fails if the assignment does not exist."""
    return {"AccountAssignmentDeletionStatus": _begin(call, _delete)}


def describe_creation(call: DirectoryCall) -> dict[str, Any]:
    """DescribeAccountAssignmentCreationStatus."""
    return {"AccountAssignmentCreationStatus": _described(call, "AccountAssignmentCreationRequestId")}


def describe_deletion(call: DirectoryCall) -> dict[str, Any]:
    """DescribeAccountAssignmentDeletionStatus."""
    return {"AccountAssignmentDeletionStatus": _described(call, "AccountAssignmentDeletionRequestId")}


def _begin(call: DirectoryCall, carry_out: Callable[[Instance, Mapping[str, Any]], str | None]) -> dict[str, Any]:
    parameters = call.parameters
    if parameters.get("TargetType") != "AWS_ACCOUNT" or parameters.get("PrincipalType") not in ("USER", "GROUP"):
        raise AwsError("ValidationException", "TargetType must be AWS_ACCOUNT, and PrincipalType USER or GROUP.")
    _existing_set(call)
    return call.instance.assigning.begin(parameters, lambda: carry_out(call.instance, parameters))


def _described(call: DirectoryCall, parameter: str) -> dict[str, Any]:
    identifier = str(call.parameters.get(parameter))
    found = call.instance.assigning.find(identifier)
    if found is None:
        raise _not_found(f"Request {identifier} was not found.")
    return found


def _create(instance: Instance, parameters: Mapping[str, Any]) -> str | None:
    kind, identifier, target = (
        str(parameters["PrincipalType"]),
        str(parameters["PrincipalId"]),
        str(parameters["TargetId"]),
    )
    if identifier not in (instance.store.users if kind == "USER" else instance.store.groups):
        store = instance.identity_store_id
        return f"Received a 404 status error: the {kind} assignee {identifier} was not found in directory {store}."
    if target not in instance.member_account_ids | {instance.owner_account_id}:
        return f"Received a 404 status error: Account {target} was not found."
    if _find_assignment(instance, parameters) is None:
        arn = str(parameters["PermissionSetArn"])
        made = AccountAssignment(instance.arn, target, "AWS_ACCOUNT", arn, kind, identifier)
        instance.assignments.append(made)
    return None


def _delete(instance: Instance, parameters: Mapping[str, Any]) -> str | None:
    found = _find_assignment(instance, parameters)
    if found is None:
        return "Received a 404 status error: EntitlementItem doesn't exist with the given entitlement key."
    instance.assignments.remove(found)
    return None


def _find_assignment(instance: Instance, parameters: Mapping[str, Any]) -> AccountAssignment | None:
    principal = (str(parameters["PrincipalType"]), str(parameters["PrincipalId"]))
    return instance.assignments.find(principal, str(parameters["TargetId"]), str(parameters["PermissionSetArn"]))


def _assignment_key(row: AccountAssignment) -> str:
    return "/".join((row.target_id, row.permission_set_arn, row.principal_type, row.principal_id))


def _assignment(row: AccountAssignment) -> dict[str, Any]:
    return {
        "AccountId": row.target_id,
        "PermissionSetArn": row.permission_set_arn,
        "PrincipalId": row.principal_id,
        "PrincipalType": row.principal_type,
    }


def _existing_set(call: DirectoryCall) -> PermissionSet:
    arn = str(call.parameters.get("PermissionSetArn"))
    for row in call.instance.admin.permission_sets:
        if row.permission_set_arn == arn and row.instance_arn == call.instance.arn:
            return row
    raise _not_found(f"Could not find PermissionSet with id {arn.rpartition('/')[2]}")


def _not_found(message: str) -> AwsError:
    """sso-admin, unlike Identity Store, names the missing resource in the message only (AWS.md 1.5)."""
    return AwsError("ResourceNotFoundException", message)


def check_reach(instance: Instance | None, parameters: Mapping[str, Any], account_id: str) -> Instance:
    """Return the instance if this account may read its permission sets.

    Raises:
        AwsError: no such instance here, an account instance, or the organization's from a member account.
    """
    if instance is None:
        raise _not_found(f"Instance {parameters.get('InstanceArn')} was not found.")
    if not instance.is_administered_by(account_id):
        raise common_error(ErrorKind.ACCESS_DENIED, "json")
    if not instance.has_permission_sets:
        raise AwsError("ValidationException", "The operation is not supported for account instances.")
    return instance


def _resources(*names: str) -> Callable[[Mapping[str, Any]], list[str]]:
    return lambda parameters: [str(parameters.get(name)) for name in names]


@dataclass(frozen=True)
class Operation:
    """An operation that the local sso-admin knows, with the ARNs that it must be allowed on (AWS.md 1.6)."""

    answer: Callable[[DirectoryCall], dict[str, Any]]
    resources: Callable[[Mapping[str, Any]], list[str]]


def _assignment_resources(parameters: Mapping[str, Any]) -> list[str]:
    account_id = parameters.get("TargetId", parameters.get("AccountId"))
    return [*_SET(parameters), f"arn:aws:sso:::account/{account_id}"]


_INSTANCE = _resources("InstanceArn")
_SET = _resources("InstanceArn", "PermissionSetArn")
OPERATIONS: Mapping[str, Operation] = {
    "ListPermissionSets": Operation(list_permission_sets, _INSTANCE),
    "DescribePermissionSet": Operation(describe_permission_set, _SET),
    "ListManagedPoliciesInPermissionSet": Operation(list_managed_policies, _SET),
    "ListCustomerManagedPolicyReferencesInPermissionSet": Operation(list_customer_managed_policies, _SET),
    "ListAccountAssignmentsForPrincipal": Operation(list_account_assignments_for_principal, _INSTANCE),
    "ListAccountsForProvisionedPermissionSet": Operation(list_accounts_for_provisioned, _SET),
    "ListAccountAssignments": Operation(list_account_assignments, _assignment_resources),
    "CreateAccountAssignment": Operation(create_account_assignment, _assignment_resources),
    "DescribeAccountAssignmentCreationStatus": Operation(describe_creation, _INSTANCE),
    "DeleteAccountAssignment": Operation(delete_account_assignment, _assignment_resources),
    "DescribeAccountAssignmentDeletionStatus": Operation(describe_deletion, _INSTANCE),
}
