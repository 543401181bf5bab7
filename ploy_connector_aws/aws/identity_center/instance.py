"""Finds the Identity Center instance, in whichever Region it is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ploy_connector_aws.aws.client.calls import read_pages
from ploy_connector_aws.aws.client.errors import RegionNotEnabledError
from ploy_connector_aws.aws.client.session import ReadSession
from ploy_connector_aws.aws.records import to_utc
from ploy_connector_aws.spec import ConnectorError, PermissionDeniedError, RejectedError, TemporaryError

_SCAN_THREADS = 8


@dataclass(frozen=True)
class Instance:
    """One instance of IAM Identity Center.

    Only the primary Region has permission sets and assignments (AWS.md section 3.3), so everything is read there.
    """

    arn: str
    identity_store_id: str
    owner_account_id: str | None
    primary_region: str
    is_account_instance: bool = False
    created_at: datetime | None = field(default=None, compare=False)
    """When it was created; None where AWS does not state it."""
    not_chosen: tuple[str, ...] = ()
    """Other active instances that the role sees and that are not read: ARN and Region of each."""


def read_instance(session: ReadSession) -> Instance | None:
    """Find the instance that the role can see; None where there is none in any Region.

    Raises:
        ConnectorError: It could not be found out, or the instance is not ready.
    """
    try:
        rows = list(_read_rows(session, session.config.region, RegionScope="ALL_REGIONS"))
    except RejectedError:
        # RegionScope is new, and not known to be served in every Region (AWS.md section 12).
        rows = None
    # An empty list means "none", and a Region that does not know RegionScope may ignore it and list its own instances
    # only. So it is confirmed by one call per Region; where there is an instance, one call is enough.
    if not rows or any(_find_primary_region(row) is None for row in rows):
        rows = scan_regions(session, is_none_listed=rows == [])
    return choose_instance(rows, session.config.account_id, session.config.region)


def choose_instance(rows: list[dict[str, Any]], account_id: str, region: str) -> Instance | None:
    """Choose among the rows of ListInstances, which hold their ``PrimaryRegion``.

    The organization's instance comes first, then the one in the Region of the settings, then the only one.

    Args:
        rows: The instances.
        account_id: The AWS account of the role; an instance of another account is the organization's.
        region: The Region of the settings.

    Raises:
        TemporaryError: None is active.
        RejectedError: Several are possible.
    """
    if not rows:
        return None
    active = [row for row in _unique(rows, region) if _is_active(row)]
    if not active:
        raise TemporaryError(
            "The IAM Identity Center instance is not active: AWS is creating or deleting it, or it failed."
        )
    candidates = [row for row in active if _is_of_another(row, account_id)] or active
    in_region = [row for row in candidates if _find_primary_region(row) == region]
    if len(candidates) == 1 or len(in_region) == 1:
        chosen = (candidates if len(candidates) == 1 else in_region)[0]
    else:
        raise _ambiguous(in_region or candidates, region)
    missing = [name for name in ("InstanceArn", "IdentityStoreId") if not chosen.get(name)]
    if missing:
        raise TemporaryError(f"AWS described the IAM Identity Center instance without its {missing[0]}.")
    return Instance(
        arn=chosen["InstanceArn"],
        identity_store_id=chosen["IdentityStoreId"],
        owner_account_id=chosen.get("OwnerAccountId"),
        primary_region=_find_primary_region(chosen) or "",
        # AWS does not state the kind of an instance. If one of another account is visible, the own one is an account's.
        is_account_instance=chosen.get("OwnerAccountId") == account_id
        and any(row.get("OwnerAccountId") not in (account_id, None) for row in rows),
        created_at=to_utc(chosen.get("CreatedDate")),
        not_chosen=tuple(_describe(row) for row in active if row is not chosen),
    )


def _unique(rows: list[dict[str, Any]], region: str) -> list[dict[str, Any]]:
    """Return each instance once, sorted by ARN; a row of the settings' Region takes precedence."""
    by_arn: dict[str, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda row: _find_primary_region(row) != region):
        by_arn.setdefault(row.get("InstanceArn", ""), row)
    return [by_arn[arn] for arn in sorted(by_arn)]


def _describe(row: dict[str, Any]) -> str:
    return f"{row.get('InstanceArn', 'an instance without an ARN')} ({_find_primary_region(row) or 'Region unknown'})"


def _ambiguous(candidates: list[dict[str, Any]], region: str) -> RejectedError:
    return RejectedError(
        f"The role sees {len(candidates)} instances of IAM Identity Center, and neither their owners nor the Region "
        f"{region} of the settings decide which one to read: {', '.join(map(_describe, candidates))}.",
        reason="instance_ambiguous",
        fix="Set 'region' to the Region of the instance to read, or delete the unused instances.",
    )


def scan_regions(session: ReadSession, *, is_none_listed: bool) -> list[dict[str, Any]]:
    """List the instances of every Region, as each Region lists only its own.

    Args:
        session: The assumed role.
        is_none_listed: Whether AWS listed none for all Regions.
    """
    regions = session.regions("sso-admin")
    # An additional Region lists a replica (AWS.md section 3.3): if the row has no primary Region, the settings' Region
    # takes precedence.
    regions.sort(key=lambda region: region != session.config.region)
    with ThreadPoolExecutor(_SCAN_THREADS) as threads:
        results = list(threads.map(lambda region: _read_region(session, region), regions))
    found: dict[str, dict[str, Any]] = {}
    for region, result in zip(regions, results, strict=True):
        if not isinstance(result, ConnectorError):
            for row in result:
                found.setdefault(
                    row.get("InstanceArn", ""), {**row, "PrimaryRegion": _find_primary_region(row) or region}
                )
    errors = [result for result in results if isinstance(result, ConnectorError)]
    harmless: tuple[type[ConnectorError], ...] = (RegionNotEnabledError,)
    if is_none_listed and not found:
        # Many organisations deny some Regions by a service control policy. That does not contradict AWS's own "none" if
        # all other Regions agree with it.
        harmless = (RegionNotEnabledError, PermissionDeniedError)
    serious = [error for error in errors if not isinstance(error, harmless)]
    if serious and not any(_is_of_another(row, session.config.account_id) for row in found.values()):
        # A Region that could not be read may hold the organization's instance: "none" would then be unproven, and the
        # account's own instance the wrong one.
        raise serious[0]
    if len(errors) == len(results):
        # The same code means a disabled Region and invalid credentials (AWS.md section 8).
        raise errors[0]
    return list(found.values())


def _is_active(row: dict[str, Any]) -> bool:
    return bool(row.get("Status", "ACTIVE") == "ACTIVE")


def _is_of_another(row: dict[str, Any], account_id: str) -> bool:
    return _is_active(row) and row.get("OwnerAccountId") not in (account_id, None)


def _read_region(session: ReadSession, region: str) -> list[dict[str, Any]] | ConnectorError:
    try:
        return list(_read_rows(session, region))
    except ConnectorError as error:
        return error


def _read_rows(session: ReadSession, region: str, **parameters: str) -> Iterator[dict[str, Any]]:
    client = session.make_client("sso-admin", region)
    try:
        for rows in read_pages(client, "ListInstances", "Instances", **parameters):
            yield from rows
    finally:
        client.close()


def _find_primary_region(row: dict[str, Any]) -> str | None:
    if row.get("PrimaryRegion"):
        return str(row["PrimaryRegion"])
    return next((each["RegionName"] for each in row.get("Regions", ()) if each.get("IsPrimaryRegion")), None)
