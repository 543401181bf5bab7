"""A folder of CSV files: the part that is a client library where a connector reads a system over the network."""

import csv
import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TypeVar

from ploy_connector_aws.spec import TemporaryError

Record = TypeVar("Record")


class CsvFolder:
    """The files of one folder. Each begins with a line of its columns, and each of its lines has an end."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def read(self, name: str, columns: list[str], make: Callable[..., Record]) -> Iterator[Record]:
        """Yield a record for each row of a file; an empty cell is a field without a value.

        Raises:
            TemporaryError: The file is missing, cut or malformed. It may have been read while it was being written.
        """
        fix, number = f"Correct {name}.", 1
        try:
            with (self.path / name).open("rb") as file:
                file.seek(-1, os.SEEK_END)  # an OSError in an empty file, which has not even its columns
                if file.read() != b"\n":
                    raise TemporaryError(f"The last line of {name} was cut.", fix=fix)
                file.seek(0)
                rows = csv.reader(TextIOWrapper(file, "utf-8-sig", newline=""), strict=True)
                if next(rows) != columns:
                    raise TemporaryError(f"The first line of {name} is not {','.join(columns)}.", fix=fix)
                for row in rows:
                    number += 1
                    cells = zip(columns, row, strict=True)  # a ValueError where a row has more or fewer cells
                    yield make(**{column: cell for column, cell in cells if cell})
        except (OSError, ValueError, csv.Error) as error:
            raise TemporaryError(f"{name} cannot be read, row {number}: {type(error).__name__}.", fix=fix) from error

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Let no other thread or process change the files during a block; raise OSError."""
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def replace(self, name: str, columns: list[str], records: Iterable[object]) -> None:
        """Replace a file, so that a reader gets all of the old one or all of the new one; raise OSError."""
        old, new = self.path / name, self.path / f"{name}.new"
        with new.open("w", encoding="utf-8", newline="") as file:
            shutil.copymode(old, new)  # before the file has content that others must not read
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([getattr(record, column) for column in columns] for record in records)
            file.flush()
            os.fsync(file.fileno())
        new.replace(old)
