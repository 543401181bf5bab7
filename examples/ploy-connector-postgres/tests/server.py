"""A PostgreSQL server for a test: in a temporary folder, on a Unix socket only, by a user without privileges."""

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import psycopg

DATA = """
CREATE ROLE ploy LOGIN BYPASSRLS;
CREATE ROLE ann LOGIN;
CREATE ROLE ben LOGIN;
CREATE ROLE cleo LOGIN SUPERUSER;
CREATE ROLE reader;
CREATE ROLE writer;
CREATE ROLE team;
GRANT reader, writer, team TO ploy WITH ADMIN OPTION;
GRANT reader TO writer;
GRANT writer TO team WITH ADMIN OPTION;
GRANT team TO ann;
GRANT ann TO ben;
CREATE SCHEMA app;
CREATE TABLE app.orders (id int PRIMARY KEY);
GRANT USAGE ON SCHEMA app TO reader;
GRANT SELECT ON app.orders TO reader;
GRANT INSERT, UPDATE ON app.orders TO writer WITH GRANT OPTION;
CREATE SCHEMA hr;
CREATE TABLE hr.people (id int PRIMARY KEY, username text, display_name text, email text, is_active bool);
INSERT INTO hr.people VALUES
    (1, 'ann.lee', 'Ann Lee', 'ann@example.com', true),
    (2, 'ben.moss', 'Ben Moss', NULL, false),
    (3, 'dora', NULL, NULL, NULL);
ALTER TABLE hr.people ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_row ON hr.people USING (username = current_user);
GRANT USAGE ON SCHEMA hr TO ploy;
GRANT SELECT ON hr.people TO ploy;
"""


def find_programs() -> Path | None:
    """Return the folder of initdb and postgres, those of the newest version; None where there are none."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    return max((each.parent for each in folders), key=lambda folder: int(folder.parent.name), default=None)


class Server:
    """A running server. It ends with this process."""

    def __init__(self, programs: Path) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True)
        self.folder = Path(self._temporary.name)
        prefix = ["setpriv", "--pdeathsig", "KILL"]
        if os.geteuid() == 0:  # PostgreSQL refuses to run as the superuser
            user = pwd.getpwnam("nobody")
            prefix += ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        data = self.folder / "data"
        initdb = [programs / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "--locale", "C"]
        done = subprocess.run([*prefix, *initdb], cwd="/", capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        # With a standby that never answers, a commit that waits for it has been made, and is not confirmed.
        options = ("listen_addresses=", "fsync=off", "synchronous_standby_names=*", "synchronous_commit=local")
        postgres = [programs / "postgres", "-D", data, "-k", self.folder, *(f"-c{each}" for each in options)]
        self._process = subprocess.Popen([*prefix, *postgres], cwd="/", stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        log = self._process.stderr
        for line in log:
            if "ready to accept connections" in line:
                break
        else:
            raise AssertionError("postgres did not start")
        self._reader = threading.Thread(target=log.read, daemon=True)
        self._reader.start()

    @property
    def socket(self) -> Path:
        """The path of its Unix socket."""
        return self.folder / ".s.PGSQL.5432"

    def connection(self, user: str, database: str = "app") -> str:
        """Return a connection string."""
        return f"host={self.folder} user={user} dbname={database} client_encoding=utf8"

    def prepare(self) -> psycopg.Connection:
        """Make the database of the tests, and return a connection of the superuser to it."""
        with psycopg.connect(self.connection("postgres", "postgres"), autocommit=True) as connection:
            connection.execute("CREATE DATABASE app")
        superuser = psycopg.connect(self.connection("postgres"), autocommit=True)
        superuser.execute(DATA)
        return superuser

    def close(self) -> None:
        """Stop it, and remove its folder."""
        self._process.kill()
        self._reader.join()
        self._process.communicate()
        self._temporary.cleanup()
