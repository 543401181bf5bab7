"""Reader of one account's IAM as a tree of scopes, beginning with the managed policies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from ploy_connector_aws.aws.client.calls import read_responses
from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.identity_center.instance import Instance
from ploy_connector_aws.aws.identity_center.permission_sets import PERMISSION_SETS
from ploy_connector_aws.aws.policy.effective_permissions import (
    EffectivePermissions,
    ManagedPolicies,
    from_copy,
    to_permissions,
    unread_policy,
)
from ploy_connector_aws.aws.policy.privileges import judge
from ploy_connector_aws.aws.records import RecordBuffer, take
from ploy_connector_aws.aws.spool import Spool
from ploy_connector_aws.config import IAM
from ploy_connector_aws.spec import AuthenticationError, Failure, Page, PermissionDeniedError, TemporaryError

from .fallback_lists import read_fallback_lists
from .identities import read_identities
from .permission_set_roles import PERMISSION_SET_ROLES, CenterInstance, NamedRole, read_permission_set_roles
from .read_context import DETAILS, DORMANT_USERS, GROUPS, POLICIES, ROLES, TRUST, USERS, Knowledge, ReadContext
from .records import find_document, is_aws_managed, to_policy

_SCOPES = (POLICIES, USERS, GROUPS, ROLES, TRUST, DORMANT_USERS)

_FILTER = {"Policies": ("LocalManagedPolicy", "AWSManagedPolicy"), "GroupDetailList": ("Group",)}
"""The filter of the request, by the member of the response that it fills."""


class IamReader:
    """One sync's reader of IAM.

    Args:
        session: The session in the role, not necessarily open yet.
    """

    def __init__(self, session: ReadSession) -> None:
        self._session = session
        self._config = session.config
        self._spool = Spool(session.context.scratch_dir)
        self._context: ReadContext | None = None
        self.managed_policies = ManagedPolicies(is_to_be_read=self._config.includes(IAM))
        """What the managed policies allow, as far as they were read."""

    def read(self, management_account: str | None = None) -> Iterator[Page]:
        """Read everything but the links to permission sets. These few calls are repeated after an interruption: who may
        assume a role, and what a permission set allows, follow from all responses together.

        Args:
            management_account: The organization's management account, where it is known.

        Raises:
            AuthenticationError: The role could not be assumed, or no longer.
        """
        if not self._config.includes(IAM):
            yield Page(scope=IAM, excluded=True)
            return
        yield Page(scope=IAM)
        try:
            self._session.open()
        except AuthenticationError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the host must not take it for an empty account
            yield Page(scope=IAM, failure=Failure.from_error(error))
            return
        for scope in _SCOPES:
            yield Page(scope=scope, parent=IAM)
        yield Page(scope=PERMISSION_SET_ROLES, parent=IAM, excluded=not self._config.includes(PERMISSION_SETS))
        yield Page(scope=IAM, complete=True)
        context = ReadContext(
            self._session, self._config.account_id, self._spool, self.managed_policies, management_account
        )
        self._context = context
        try:
            yield from _read_policies(context)
        except AuthenticationError:
            raise
        except PermissionDeniedError as denied:
            yield from read_fallback_lists(context, denied)
        except Exception as error:  # noqa: BLE001 - without the policies, no record of a holder is reliable
            context.fail(error, *_SCOPES)
            yield from (context.end(scope) for scope in _SCOPES)
        else:
            yield from read_identities(context)

    def read_permission_set_roles(
        self, account_roles: Callable[[str], Iterable[NamedRole]], instance: Instance | None
    ) -> Iterator[Page]:
        """Read which roles of this account belong to which permission sets, once both are known.

        Args:
            account_roles: Returns what each permission set is in an AWS account, or raises why that was not read.
            instance: The instance of the permission sets; None where none was found.

        Raises:
            AuthenticationError: Nothing could be read.
        """
        context = self._context
        if context is None or not self._config.includes(PERMISSION_SETS):
            return
        failure = context.why_unproven(ROLES)
        if failure is not None:
            yield Page(scope=PERMISSION_SET_ROLES, failure=failure)
            return
        with context.isolate_failure(PERMISSION_SET_ROLES):
            # The roles belong to IAM, their permission sets do not: those of another instance would replace all links.
            yield Page(scope=PERMISSION_SET_ROLES, origin=instance.arn if instance else None)
            center = (
                CenterInstance(instance.primary_region or None, instance.created_at) if instance else CenterInstance()
            )
            yield from read_permission_set_roles(context, lambda: account_roles(context.account_id), center)
        yield context.end(PERMISSION_SET_ROLES)

    def find_roles(self, named_by: Literal["role", "instance_profile"], arns: Iterable[str]) -> Mapping[str, str]:
        """Look up the ids of roles, after they were read.

        Args:
            named_by: Whether the ARNs are those of the roles or of their instance profiles.
            arns: The ARNs; the result lacks those that were not found.
        """
        return self._spool.find_values(named_by, arns)

    @property
    def knowledge_of_roles(self) -> Knowledge:
        """How much of the roles was read, which decides what a role that was not found means."""
        if not self._config.includes(IAM):
            return "none"
        return "part" if self._context is None or self._context.why_unproven(ROLES) else "all"

    def close(self) -> None:
        """Discard what was read."""
        self._spool.close()


def _read_policies(context: ReadContext) -> Iterator[Page]:
    """Read all managed policies with their documents; those that are not attached are stored and not emitted.

    They come before all that holds them, so that at most a page is kept in memory: an unattached policy may be a
    boundary, or the policy of a permission set. The same calls read the groups, whose policies are their users' too;
    the groups are kept until all policies are known.
    """
    missing = set(_FILTER)
    kinds = [kind for kinds in _FILTER.values() for kind in kinds]
    for response in read_responses(context.client, DETAILS, tuple(_FILTER), Filter=kinds):
        missing -= response.keys()
        page = RecordBuffer()
        for policy in response.get("Policies", ()):
            _add_policy(context, page, policy)
        yield from page.to_pages(POLICIES)
        context.groups += response.get("GroupDetailList", ())
    if "Policies" in missing:
        # An empty list is an answer; no list is none.
        raise TemporaryError("AWS gave no Policies.")
    if missing:
        context.fail(TemporaryError("AWS gave no GroupDetailList."), GROUPS)
    context.managed_policies.is_complete = True
    yield context.end(POLICIES)


def _add_policy(context: ReadContext, page: RecordBuffer, policy: Mapping[str, Any]) -> None:
    arn = take(policy, "Arn", "a managed policy")
    take(policy, "PolicyId", "a managed policy")
    permissions = context.managed_policies.add(arn, _to_permissions(policy))
    entitlement = to_policy(context.account_id, policy, judge([permissions]))
    context.spool.add("policy", [(arn, entitlement.id)])
    if policy.get("AttachmentCount") == 0:
        # It may be attached before its holder is read.
        context.spool.add("unattached", [(arn, entitlement.model_dump_json())])
    else:
        page.add(entitlement)


def _to_permissions(policy: Mapping[str, Any]) -> EffectivePermissions:
    arn, document = policy["Arn"], find_document(policy)
    if document is None:
        return from_copy(arn) or unread_policy(f"AWS did not give the document of the policy {arn}.")
    return to_permissions(document, is_aws_managed=is_aws_managed(arn))
