"""Reads the managed policies of an account, and remembers what each allows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ploy_connector_aws.aws.paging import read_pages
from ploy_connector_aws.aws.parts import take
from ploy_connector_aws.spec import Page

from .entitlements import is_aws_managed, to_policy
from .privileges import judge, to_powers, unread
from .reading import DETAILS, POLICIES, Gathered, Reading


def read_policies(reading: Reading) -> Iterator[Page]:
    """Read all managed policies with their documents; those that nobody holds are remembered, and not emitted.

    They are read before anything that holds them, so that no more than a page has to be kept: an unattached policy may
    be a boundary, or the policy of a permission set.
    """
    for policies in read_pages(reading.client, DETAILS, "Policies", Filter=["LocalManagedPolicy", "AWSManagedPolicy"]):
        page = Gathered()
        for policy in policies:
            _add_policy(reading, page, policy)
        yield from page.to_pages(POLICIES)
    reading.powers.is_complete = True
    yield reading.end(POLICIES)


def _add_policy(reading: Reading, page: Gathered, policy: Mapping[str, Any]) -> None:
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


def _to_powers(policy: Mapping[str, Any]) -> Any:
    document = find_document(policy)
    if document is None:
        return unread(f"AWS did not give the document of the policy {policy['Arn']}.")
    return to_powers(document, is_aws_managed=is_aws_managed(policy["Arn"]))
