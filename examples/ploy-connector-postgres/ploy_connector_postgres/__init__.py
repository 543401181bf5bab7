"""Ploy connector for PostgreSQL: roles, who is a member of which, and what each may do with databases and tables."""

from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, islice

import psycopg
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict

from ploy_connector_aws import spec
from ploy_connector_aws.spec import AccessPath, Grant, Page, TemporaryError, hookimpl

from . import queries, records
from .manifest import ADMIN_OPTION, MANIFEST, READ_ALL_ROWS, READ_CATALOGS

INVISIBLE = (
    "Rules of authentication (pg_hba.conf): who can log in as which role.",
    "Superusers, for whom no privilege is checked.",
    "Privileges in other databases, and on columns, sequences, functions and types.",
)
MOST_PATHS = 1000
PERMISSIONS = {
    "people": (READ_ALL_ROWS, "GRANT SELECT ON the table to the role of the connector, and ALTER it to BYPASSRLS."),
    "change": (ADMIN_OPTION, "GRANT the role to the role of the connector WITH ADMIN OPTION."),
}
CATALOGS = (READ_CATALOGS, "GRANT SELECT ON the catalog to PUBLIC, as it is by default.")


class PostgresConnector:
    """A role that can log in is an account. One that cannot, or that has members, is an entitlement."""

    manifest = MANIFEST

    @hookimpl
    def configure(self, config, context):
        try:
            given = conninfo_to_dict(config["connection"])
        except psycopg.Error as error:
            raise spec.ConfigurationError("It is no connection string of libpq.", field="connection") from error
        if "password" in given:
            raise spec.ConfigurationError("The password has a setting of its own.", field="connection")
        secrets = {"password": config["password"]} if "password" in config else {}
        self.connection = {"connect_timeout": 10, **given, **secrets, "client_encoding": "utf8"}
        self.people_table, self.context = config.get("people_table"), context

    @hookimpl
    def test_connection(self):
        ends = [page for page in chain(self.list_accounts(), self.list_entitlements()) if page.ending]
        return spec.ConnectionReport(checks=tuple(map(to_check, ends)))

    @hookimpl
    def list_accounts(self):
        yield from self.pages("accounts", queries.ACCOUNTS, records.to_accounts)
        if self.people_table:  # row security could leave some of them out: see transaction()
            yield from self.pages("people", queries.people_of(self.people_table), records.to_people, self.require_table)
        else:
            yield Page(scope="people", excluded=True)

    @hookimpl
    def list_entitlements(self):
        yield from self.pages("roles", queries.ROLES, records.to_roles)
        yield from self.pages("members", queries.MEMBERS, records.to_memberships)
        yield from self.pages("privileges", queries.PRIVILEGES, records.to_privileges)

    @hookimpl
    def grant(self, request):
        return self.change(request, is_grant=True)

    @hookimpl
    def revoke(self, request):
        return self.change(request, is_grant=False)

    def require_table(self, connection):
        """Raise ConfigurationError for a view: it can leave out rows by any condition, and nothing would show that."""
        if connection.execute(queries.IS_TABLE, [self.people_table]).fetchone() != (True,):
            raise spec.ConfigurationError(f"{self.people_table} is no table.", field="people_table")

    @contextmanager
    def transaction(self, call, *, read_only=True):
        """Open a connection with a transaction, which is committed at the end; raise errors of the specification."""
        self.context.on_call("postgresql", call)
        try:
            with psycopg.connect(**self.connection) as connection:
                connection.read_only = read_only
                # Where row security applies to this role, PostgreSQL now raises an error instead of leaving rows out.
                connection.execute("SET LOCAL row_security = off")
                yield connection
        except errors.InsufficientPrivilege as error:
            permission, fix = PERMISSIONS.get(call, CATALOGS)
            raise spec.PermissionDeniedError(describe(error), actions=(permission,), fix=fix) from error
        except (errors.DependentObjectsStillExist, errors.InvalidGrantOperation) as error:
            raise spec.RejectedError(describe(error), reason="dependent-grants") from error
        except (psycopg.Error, UnicodeDecodeError) as error:
            raise TemporaryError(describe(error)) from error
        finally:
            self.context.on_answer("postgresql", call)

    def pages(self, scope, query, to_records, prepare=None):
        """Yield the pages of one scope from one query, whose rows are streamed."""
        try:
            with self.transaction(scope) as connection:
                (origin,) = connection.execute("SELECT system_identifier::text FROM pg_control_system()").fetchone()
                if prepare:
                    prepare(connection)
                with connection.cursor(name="ploy") as cursor:
                    listed = to_records(cursor.execute(query))
                    while page := tuple(islice(listed, 500)):
                        yield Page(scope=scope, origin=origin, records=page)
            yield Page(scope=scope, origin=origin, complete=True)
        except spec.ConnectorError as error:
            yield Page(scope=scope, failure=spec.Failure.from_error(error))

    def change(self, request, *, is_grant):
        """Grant or revoke a role; read back what the role opens, and by which other paths the account reaches it."""
        edge = Grant(principal_kind="account", principal_id=request.account_id, entitlement_id=request.entitlement_id)
        is_change = self.execute(request, is_grant=is_grant)
        began = datetime.now(UTC)
        edges, failures = self.read_grants()
        held = next((each for each in edges["account", request.account_id] if each.id == edge.id), None)
        if not request.preview and ("members" in failures or (held is not None) != is_grant):
            raise TemporaryError("The members that were read after the change do not show it.")
        edge = held or edge
        opened = list(islice(chain([(edge,)], walk(edges, "entitlement", edge.entitlement_id, (edge,))), MOST_PATHS))
        targets = {path[-1].entitlement_id for path in opened}
        others = (path for path in walk(edges, "account", edge.principal_id) if path[0].id != edge.id)
        remaining = list(islice((path for path in others if path[-1].entitlement_id in targets), MOST_PATHS))
        is_whole = not failures and max(len(opened), len(remaining)) < MOST_PATHS
        changed = (edge,) if is_change or not request.preview else ()
        paths = tuple(AccessPath(grants=path) for path in opened) if changed else ()
        return spec.AccessChange(
            outcome="previewed" if request.preview else "applied" if is_change else "already_in_effect",
            verified_at=None if request.preview else began,
            scope="members",
            effects_complete=is_whole,
            remaining_paths=() if is_grant else tuple(AccessPath(grants=path) for path in remaining),
            remaining_paths_complete=is_whole,
            as_of=began,
            invisible_paths=INVISIBLE,
            warnings=() if is_grant else ("A session that has run SET ROLE keeps the role until it ends.",),
            **({"added": changed, "opened_paths": paths} if is_grant else {"removed": changed, "closed_paths": paths}),
        )

    def execute(self, request, *, is_grant):
        """Run GRANT or REVOKE, unless it is a preview; return whether there is something to change."""
        ids = (request.entitlement_id, request.account_id)
        if ids[0] == "0" or ids[0].startswith(("database/", "schema/", "table/")):
            raise spec.RejectedError("Only roles can be granted.", reason="not-grantable")
        changed_nothing = True
        try:
            with self.transaction("change", read_only=request.preview) as connection:
                names = dict(connection.execute(queries.NAMES, [[each for each in ids if each.isdecimal()]]).fetchall())
                for id_ in ids:
                    if id_ not in names:
                        raise spec.NotFoundError(f"There is no role with the oid {id_}.")
                grantors = connection.execute(queries.GRANTORS, ids).fetchall()
                is_change = bool(grantors) != is_grant
                if is_change and not request.preview:
                    if request.write_before:
                        seconds = (request.write_before - datetime.now(UTC)).total_seconds()
                        if seconds <= 0:
                            raise TemporaryError("There is no time left for the change.")
                        limit = str(max(1, int(seconds * 1000)))
                        connection.execute("SELECT set_config('statement_timeout', %s, true)", [limit])
                    role, member = (sql.Identifier(names[id_]) for id_ in ids)
                    if is_grant:
                        connection.execute(sql.SQL("GRANT {} TO {}").format(role, member))
                    elif connection.info.server_version < 160000:
                        connection.execute(sql.SQL("REVOKE {} FROM {}").format(role, member))
                    else:  # each of several roles may have granted it
                        for (grantor,) in grantors:
                            revoke = sql.SQL("REVOKE {} FROM {} GRANTED BY {}")
                            connection.execute(revoke.format(role, member, sql.Identifier(grantor)))
                    changed_nothing = False  # now comes the commit
        except TemporaryError as error:
            raise TemporaryError(error.message, changed_nothing=changed_nothing) from error
        return is_change

    def read_grants(self):
        """Return all grants by who holds them, and the names of the scopes that could not be read."""
        edges, failures = defaultdict(list), set()
        for page in self.list_entitlements():
            failures |= {page.scope} if page.failure else set()
            for record in page.records:
                if isinstance(record, Grant):
                    edges[record.principal_kind, record.principal_id].append(record)
        return edges, failures


def describe(error):
    diagnosis = error.diag.message_primary if isinstance(error, psycopg.Error) else "a text is not UTF-8"
    return f"PostgreSQL: {diagnosis or str(error).splitlines()[0]}"


def walk(edges, kind, id_, path=()):
    """Yield each path that goes on from an account or entitlement. PostgreSQL allows no loops of roles."""
    for edge in edges.get((kind, id_), ()):
        yield (*path, edge)
        yield from walk(edges, "entitlement", edge.entitlement_id, (*path, edge))


def to_check(page):
    name = page.scope
    if page.excluded:
        return spec.Check(name=name, outcome="skipped", message="The settings name no table of people.")
    if (failure := page.failure) is None:
        return spec.Check(name=name, outcome="passed", message=f"The scope {name} can be read.")
    missing = failure.missing_permissions
    fix = failure.fix or "Check the connection, and the log of PostgreSQL."
    message, code = failure.message, failure.code
    return spec.Check(name=name, outcome="failed", message=message, fix=fix, code=code, missing_permissions=missing)
