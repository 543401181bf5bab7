"""The connector keeps the rules of the kit. The driver changes a copy of the files in ``tests/data``."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from csv_folder import CsvFolder

from ploy_connector_aws.testing import ConnectorTests, Driver

DATA = Path(__file__).with_name("data")


class CsvDriver(Driver):
    """Changes the files of a temporary folder."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self._temporary.name, "data")
        shutil.copytree(settings["folder"], self.folder)
        super().__init__({**settings, "folder": str(self.folder)})

    def close(self) -> None:
        self._temporary.cleanup()

    def add_account(self) -> str:
        return self._add("people.csv", "p-100", "p-100,test,Test Person,active")

    def remove_account(self, account_id: str) -> None:
        self._keep("people.csv", lambda cells: cells[0] != account_id)
        self._keep("members.csv", lambda cells: cells[1] != account_id)

    def add_entitlement(self) -> str:
        return self._add("groups.csv", "g-100", "g-100,Test Group")

    def remove_entitlement(self, entitlement_id: str) -> None:
        for name in ("groups.csv", "members.csv"):
            self._keep(name, lambda cells: cells[0] != entitlement_id)

    def holds(self, account_id: str, entitlement_id: str) -> bool:
        return f"{entitlement_id},{account_id}" in (self.folder / "members.csv").read_text().splitlines()

    @contextmanager
    def cut_line(self, after_bytes: int) -> Iterator[None]:
        """Cut each longer file within a line: behind a line it would look complete."""
        whole = {file: file.read_bytes() for file in self.folder.glob("*.csv")}
        for file, content in whole.items():
            if len(content) > after_bytes:
                file.write_bytes(content[:after_bytes].rstrip(b"\n"))
        try:
            yield
        finally:
            for file, content in whole.items():
                file.write_bytes(content)

    @contextmanager
    def cut_before_write(self) -> Iterator[None]:
        """Have a folder where the new file would be written."""
        obstacle = self.folder / "members.csv.new"
        obstacle.mkdir()
        try:
            yield
        finally:
            obstacle.rmdir()

    @contextmanager
    def cut_after_write(self) -> Iterator[None]:
        """Fail as soon as the new file is there."""
        replace = CsvFolder.replace

        def replace_and_fail(*arguments: Any) -> None:
            replace(*arguments)
            raise OSError("the test lost the response")

        with patch.object(CsvFolder, "replace", replace_and_fail):
            yield

    def _add(self, name: str, id_: str, line: str) -> str:
        with (self.folder / name).open("a") as file:
            file.write(f"{line}\n")
        return id_

    def _keep(self, name: str, is_kept: Any) -> None:
        lines = (self.folder / name).read_text().splitlines(keepends=True)
        kept = (line for line in lines if is_kept(line.rstrip("\n").split(",")))
        (self.folder / name).write_text("".join(kept))


class TestCsv(ConnectorTests):
    connector = "csv"
    settings = {"folder": str(DATA)}
    driver = CsvDriver
