"""Reads the managed policies of an account, and remembers what each allows; with them, its groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.aws.client.calls import read_responses
from ploy_connector_aws.aws.policy.effective_permissions import (
    EffectivePermissions,
    from_copy,
    to_permissions,
    unread_policy,
)
from ploy_connector_aws.aws.policy.privileges import judge
from ploy_connector_aws.aws.scopes import RecordBuffer, take
from ploy_connector_aws.spec import Page, TemporaryError

from .entitlements import is_aws_managed, to_policy
from .read_context import DETAILS, GROUPS, POLICIES, Reading

_FILTER = {"Policies": ("LocalManagedPolicy", "AWSManagedPolicy"), "GroupDetailList": ("Group",)}
"""What is asked for, by the member of the answer that gives it."""


def read_policies(reading: Reading) -> Iterator[Page]:
    """Read all managed policies with their documents; those that nobody holds are remembered, and not emitted.

    They are read before anything that holds them, so that no more than a page has to be kept: an unattached policy may
    be a boundary, or the policy of a permission set. The groups come with them, for the users who have their policies
    too; they are kept until all policies are known.
    """
    never_given = set(_FILTER)
    wanted = [kind for kinds in _FILTER.values() for kind in kinds]
    for answer in read_responses(reading.client, DETAILS, tuple(_FILTER), Filter=wanted):
        never_given -= answer.keys()
        page = RecordBuffer()
        for policy in answer.get("Policies", ()):
            _add_policy(reading, page, policy)
        yield from page.to_pages(POLICIES)
        reading.groups += answer.get("GroupDetailList", ())
    if "Policies" in never_given:
        # An empty list is an answer; no list is none.
        raise TemporaryError("AWS gave no Policies.")
    if never_given:
        reading.fail(TemporaryError("AWS gave no GroupDetailList."), GROUPS)
    reading.powers.is_complete = True
    yield reading.end(POLICIES)


def _add_policy(reading: Reading, page: RecordBuffer, policy: Mapping[str, Any]) -> None:
    arn = take(policy, "Arn", "a managed policy")
    take(policy, "PolicyId", "a managed policy")
    powers = reading.powers.add(arn, _to_powers(policy))
    entitlement = to_policy(reading.account_id, policy, judge([powers]))
    reading.findings.add("policy", [(arn, entitlement.id)])
    if policy.get("AttachmentCount") == 0:
        # It may be attached before its holder is read.
        reading.findings.add("unattached", [(arn, entitlement.model_dump_json())])
    else:
        page.add(entitlement)


def find_document(policy: Mapping[str, Any]) -> object:
    """Find the document of a managed policy; None where AWS did not give it.

    AWS gives up to five versions; only the default one counts.
    """
    documents: list[object] = []
    for version in policy.get("PolicyVersionList", ()):
        # A version that is listed twice is one version.
        if version.get("IsDefaultVersion") and version.get("Document") not in documents:
            documents.append(version.get("Document"))
    return documents[0] if len(documents) == 1 else None


def _to_powers(policy: Mapping[str, Any]) -> EffectivePermissions:
    document = find_document(policy)
    if document is None:
        unknown = unread_policy(f"AWS did not give the document of the policy {policy['Arn']}.")
        return from_copy(policy["Arn"]) or unknown
    return to_permissions(document, is_aws_managed=is_aws_managed(policy["Arn"]))
