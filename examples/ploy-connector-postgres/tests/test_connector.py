"""The connector keeps the rules of the kit. The driver runs a server, and changes it as its superuser."""

import os
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from ploy_connector_aws.spec import RecordKey
from ploy_connector_aws.testing import ConnectorTests, CuttingProxy, Driver, NotTestedError

from .server import Server, find_programs

PROGRAMS = find_programs()
if PROGRAMS is None and not os.environ.get("POSTGRES_REQUIRED"):
    pytest.skip("PostgreSQL is not installed", allow_module_level=True)


class PostgresDriver(Driver):
    """Runs a server of its own; the connector reaches it through a proxy."""

    longest_read_seconds = 60

    def __init__(self, settings: Mapping[str, Any]) -> None:
        assert PROGRAMS is not None, "POSTGRES_REQUIRED is set, and PostgreSQL is not installed"
        self.server = Server(PROGRAMS)
        self.superuser = self.server.prepare()
        self.proxy = CuttingProxy(str(self.server.socket))
        connection = f"host={self.proxy.host} port={self.proxy.port} user=ploy dbname=app"
        super().__init__({**settings, "connection": connection})

    def close(self) -> None:
        self.superuser.close()
        self.proxy.close()
        self.server.close()

    def add_account(self) -> str:
        return self._add("CREATE ROLE test_person LOGIN")

    def remove_account(self, account_id: str) -> None:
        self._drop(account_id)

    def add_entitlement(self) -> str:
        return self._add("CREATE ROLE test_role; GRANT test_role TO ploy WITH ADMIN OPTION")

    def remove_entitlement(self, entitlement_id: str) -> None:
        self._drop(entitlement_id)

    def holds(self, account_id: str, entitlement_id: str) -> bool:
        query = "SELECT FROM pg_auth_members WHERE roleid::text = %s AND member::text = %s"
        return self.superuser.execute(query, [entitlement_id, account_id]).fetchone() is not None

    @contextmanager
    def deny(self, scope: str) -> Iterator[Collection[str]]:
        if scope == "people":  # its rows are under row security
            with self._between("ALTER ROLE ploy NOBYPASSRLS", "ALTER ROLE ploy BYPASSRLS"):
                yield {"people"}
        else:
            with self._between("REVOKE SELECT ON pg_roles FROM PUBLIC", "GRANT SELECT ON pg_roles TO PUBLIC"):
                yield {"accounts", "roles", "members", "privileges"}

    @contextmanager
    def hide(self, record: RecordKey) -> Iterator[None]:
        """Let row security apply to the connector, and leave out one person."""
        if not record.id.startswith("person/"):
            raise NotTestedError("the catalogs of PostgreSQL leave out nothing")
        number = int(record.id.removeprefix("person/"))
        policy = f"ALTER POLICY own_row ON hr.people USING (id <> {number})"
        with self._between(policy, "ALTER POLICY own_row ON hr.people USING (username = current_user)"):
            with self._between("ALTER ROLE ploy NOBYPASSRLS", "ALTER ROLE ploy BYPASSRLS"):
                yield

    def cut_line(self, after_bytes: int) -> Any:
        return self.proxy.cutting(after_bytes)

    def slow_down(self, seconds: float) -> Any:
        return self.proxy.slowed(seconds)

    @contextmanager
    def cut_before_write(self) -> Iterator[None]:
        """Lock the table of memberships against writes."""
        with self._between("ALTER ROLE ploy SET lock_timeout = '100ms'", "ALTER ROLE ploy RESET lock_timeout"):
            with psycopg.connect(self.server.connection("postgres")) as connection:
                connection.execute("LOCK TABLE pg_auth_members IN SHARE MODE")
                yield

    @contextmanager
    def cut_after_write(self) -> Iterator[None]:
        """Have commits wait for a standby that does not exist, and end those connections then."""
        ended = threading.Event()

        def end_waiting() -> None:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            with psycopg.connect(self.server.connection("postgres"), autocommit=True) as connection:
                while not ended.wait(0.01):
                    connection.execute(query)

        thread = threading.Thread(target=end_waiting)
        with self._between("ALTER ROLE ploy SET synchronous_commit = on", "ALTER ROLE ploy RESET synchronous_commit"):
            thread.start()
            try:
                yield
            finally:
                ended.set()
                thread.join()

    def _add(self, statements: str) -> str:
        self.superuser.execute(statements)
        name = statements.split()[2].rstrip(";")
        row = self.superuser.execute("SELECT oid::text FROM pg_roles WHERE rolname = %s", [name]).fetchone()
        assert row is not None
        return str(row[0])

    def _drop(self, oid: str) -> None:
        row = self.superuser.execute("SELECT rolname FROM pg_roles WHERE oid::text = %s", [oid]).fetchone()
        assert row is not None
        self.superuser.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(row[0])))

    @contextmanager
    def _between(self, before: str, after: str) -> Iterator[None]:
        self.superuser.execute(before)
        try:
            yield
        finally:
            self.superuser.execute(after)


class TestPostgres(ConnectorTests):
    connector = "postgres"
    settings = {"people_table": "hr.people", "password": "not-asked-for"}
    driver = PostgresDriver
