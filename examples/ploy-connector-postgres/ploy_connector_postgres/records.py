"""Records of the rows that the queries give. The ids are oids: they stay the same when a role or table is renamed."""

from itertools import groupby

from ploy_connector_aws.spec import Account, Email, Entitlement, Grant, Resource

POWERS = (
    "It is a superuser: no privilege is checked.",
    "It can create and change roles (CREATEROLE).",
    "It can copy all databases (REPLICATION).",
    "Row security hides nothing from it (BYPASSRLS).",
)
DANGEROUS = {"pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"}


def to_power(powers):
    """Return the fields of a record that state whether a role is privileged."""
    reasons = tuple(reason for reason, has_it in zip(POWERS, powers, strict=True) if has_it)
    if not reasons:
        return {"privileged_reasons": ("Only its attributes are evaluated, not what its privileges allow.",)}
    return {"privileged": True, "privileged_reasons": reasons, "administrator": powers[0]}


def to_accounts(rows):
    for oid, name, *powers, valid_until in rows:
        attributes = {"password_valid_until": valid_until} if valid_until else {}
        kind = "root" if oid == "10" else "unknown"  # the superuser that initdb made
        yield Account(id=oid, kind=kind, username=name, status="active", attributes=attributes, **to_power(powers))


def to_roles(rows):
    for oid, name, *powers, is_grantable in rows:
        reason = "Every role holds it." if oid == "0" else "The connector has no ADMIN OPTION on it."
        power = to_power(powers)
        if name in DANGEROUS:
            power = {"privileged": True, "privileged_reasons": ("It reaches files or programs of the server.",)}
        yield Entitlement(
            id=oid,
            kind="role",
            name=name,
            grantable=is_grantable,
            not_grantable_reason=None if is_grantable else reason,
            **power,
        )


def to_memberships(rows):
    for kind, holder, role, admin, inherit, set_role, grantors in rows:
        attributes = {"admin": admin, "inherit": inherit, "set": set_role, "grantors": grantors}
        yield Grant(principal_kind=kind, principal_id=holder, entitlement_id=role, attributes=attributes)


def to_privileges(rows):
    for (kind, id_, parent, name), of_object in groupby(rows, key=lambda row: row[:4]):
        yield Resource(id=id_, kind=kind, name=name, parent_id=parent)
        for privilege, of_privilege in groupby(of_object, key=lambda row: row[4]):
            yield Entitlement(
                id=f"{id_}/{privilege}",
                kind="policy",
                name=f"{privilege} on {name}",
                resource_id=id_,
                not_grantable_reason="Grant a role that has it.",
            )
            for *_, holder_kind, holder, is_grantable in of_privilege:
                yield Grant(
                    principal_kind=holder_kind,
                    principal_id=holder,
                    entitlement_id=f"{id_}/{privilege}",
                    attributes={"grantable": is_grantable},
                )


def to_people(rows):
    for id_, username, name, email, is_active in rows:
        yield Account(
            id=f"person/{id_}",
            kind="human",
            username=username or None,
            display_name=name or None,
            emails=(Email(address=email),) if email else (),
            status="unknown" if is_active is None else "active" if is_active else "disabled",
            not_grantable_reason="It is a row of a table, and no role.",
        )
