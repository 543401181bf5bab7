"""A customer whose commands run in forked processes that end at named points, from prepared states that are restored.

Both servers live in the process of the test.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import re
import shutil
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from ploy_connector_aws.cli.exit_codes import Exit
from ploy_connector_aws.sandbox.aws import Assignment
from tests.aws.conftest import PROD
from tests.end_to_end.sync_harness import Site

from .conftest import start
from .forked import Forked
from .points import watch

DEADLINE_SECONDS = 60
"""After which a command that does not end has failed its test."""


class Kill(NamedTuple):
    """Where a process ends: in which situation, at which point, at which occurrence of that point."""

    situation: str
    point: str
    nth: int = 1

    @property
    def kind(self) -> str:
        """The point without what tells apart points of one sort: arguments, tables, the number of a batch."""
        action, _, on = self.point.partition(": ")
        if action.endswith(("send", "receive")):
            on = re.sub(r"/\d+$", "", on.partition(" in ")[0])
        else:
            on = on.partition(" ")[0]
        return f"{action}: {on}"


@dataclass
class Started:
    """A command that was forked, and the file that gets its output."""

    process: Forked
    output: Path

    def poll(self, seconds: float = 0.05) -> int | None:
        """Its exit code, or the negative number of the signal that ended it; None while it still runs."""
        return self.process.poll(seconds)

    def wait(self) -> int:
        """Wait for its end.

        Raises:
            AssertionError: It did not end; it was killed.
        """
        code = self.poll(DEADLINE_SECONDS)
        if code is None:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"The command did not end:\n{self.output.read_text()}")
        return code

    def stop(self) -> int:
        """Ask a service to end, and wait until it has."""
        self.process.terminate()
        return self.wait()


class KillSite:
    """A customer with saved states to begin from: nothing was synced yet, or one sync before AWS was changed."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._folder = site.world.folder
        self._numbers = itertools.count(1)
        site.world.ploy.registry.set_limits(site.integration_id, max_batch_lines=20)
        site.world.ploy.view(site.integration_id).records()  # makes Ploy's file
        self.save("nothing")
        self.sync()
        self.save("synced")
        self._change_aws()

    def _change_aws(self) -> None:
        """Something is added, removed and changed, of several record types."""
        seeded = self.site.seeded
        seeded.add_member("empty", "dee")
        seeded.remove_member("admins", "bo")
        seeded.set_status("ana", "DISABLED")
        seeded.assign(Assignment(PROD, "Reader", "empty"))

    @property
    def names(self) -> dict[str, str]:
        """By id: what it is called in the name of a point, in every run of the tests."""
        seeded, site = self.site.seeded, self.site
        instance = seeded.instance
        return {
            **{id_: name for name, id_ in (*seeded.users.items(), *seeded.groups.items())},
            **{id_: name for name, id_ in seeded.permission_sets.items()},
            site.integration_id: "one",
            seeded.instance_arn: "instance",
            seeded.identity_store_id: "store",
            instance.owner_account_id: "owner",
        }

    # States.

    def _ploy_file(self) -> Path:
        return self._folder / "ploy" / "integrations" / f"{self.site.integration_id}.sqlite"

    @property
    def state_folder(self) -> Path:
        """The files of the command."""
        return self.site.settings.snapshot_path.parent

    def save(self, state: str) -> None:
        """Keep what Ploy and the command have in their files now."""
        _copy_database(self._ploy_file(), self._folder / f"{state}.sqlite")
        if self.state_folder.exists():
            shutil.copytree(self.state_folder, self._folder / state)

    def restore(self, state: str, *, is_full: bool = False) -> None:
        """Let Ploy and the command have in their files what they had then."""
        _copy_database(self._folder / f"{state}.sqlite", self._ploy_file())
        shutil.rmtree(self.state_folder, ignore_errors=True)
        if (self._folder / state).exists():
            shutil.copytree(self._folder / state, self.state_folder)
        self.site.world.ploy.registry.set_flags(self.site.integration_id, full_requested=is_full)

    def new_file(self) -> Path:
        """A path that nothing has yet."""
        return self._folder / f"file-{next(self._numbers)}"

    # Commands.

    def start(self, *arguments: str, kill: Kill | None = None, record: Path | None = None) -> Started:
        """Fork a command of this customer."""
        output = self.new_file()
        prepare = partial(watch, self.names, (kill.point, kill.nth) if kill else None, record)
        with output.open("w") as file:
            started = start(self.site, *arguments, stdout=file, stderr=file, prepare=prepare)
        return Started(started, output)

    def sync(self) -> None:
        synced = self.site.sync()
        assert (synced.code, synced.unproven) == (Exit.OK, {}), synced.printed

    # What came of it.

    def changes(self) -> Counter[tuple[str, str, str]]:
        """What the generations after the first did with each record."""
        ploy, id_ = self.site.world.ploy, self.site.integration_id
        return Counter(
            (change.kind, change.key.type, change.key.id)
            for generation in ploy.view(id_).generations()
            if generation.number > 1
            for change in ploy.view(id_).changes(generation.number)
        )

    def check_disk(self) -> None:
        """After a kill: the files are whole and private, and know of nothing that Ploy does not have."""
        with contextlib.ExitStack() as stack:
            copy = self.new_file()
            shutil.copytree(self.state_folder, copy)
            stack.callback(shutil.rmtree, copy)
            for path in copy.iterdir():
                assert path.stat().st_mode & 0o077 == 0, f"others may use {path.name}"
            databases = {
                path.name: stack.enter_context(contextlib.closing(sqlite3.connect(path)))
                for path in copy.glob("*.sqlite")
            }
            for name, db in databases.items():
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], name
            snapshot = databases.get(self.site.settings.snapshot_path.name)
            if snapshot and snapshot.execute("SELECT 1 FROM sqlite_master WHERE name = 'runs'").fetchone():
                committed = snapshot.execute("SELECT generation FROM runs WHERE state = 'committed'").fetchall()
                at_ploy = self.site.world.ploy.view(self.site.integration_id).generations()
                assert committed in ([], *([(generation.number,)] for generation in at_ploy))


def _copy_database(source: Path, target: Path) -> None:
    """Copy a database that may be open elsewhere, as one transaction."""
    with contextlib.closing(sqlite3.connect(source)) as one, contextlib.closing(sqlite3.connect(target)) as other:
        one.backup(other)


def order_kills(
    killed: KillSite, play: Callable[[str, Path], object], situations: Iterable[str], seed: str
) -> list[Kill]:
    """Find the points of undisturbed runs, and put them into an order that the seed decides.

    It takes one point of each kind in turn. The order depends on nothing but the names of the points and the seed, so
    a number leads to the same point in every run.

    Args:
        killed: Whose runs.
        play: Makes one undisturbed run in a situation, and records its points in a file.
        situations: In which there are points.
        seed: Of the order.
    """
    kinds: Mapping[str, list[Kill]] = defaultdict(list)
    for situation in situations:
        one, other = (_recorded(killed.new_file(), situation, play) for _ in range(2))
        for point in one.keys() & other.keys():
            # Where threads decide how often a point is reached, its last occurrences are not to be relied on.
            most = one[point] if one[point] == other[point] else 1 << min(one[point], other[point]).bit_length() - 1
            nth = 1 + int.from_bytes(_rank(seed, situation, point)[:4]) % most
            kill = Kill(situation, point, nth)
            kinds[kill.kind].append(kill)
    rows = [
        sorted(kinds[kind], key=lambda kill: _rank(seed, kill.situation, kill.point))
        for kind in sorted(kinds, key=lambda kind: _rank(seed, kind))
    ]
    return [kill for turn in itertools.zip_longest(*rows) for kill in turn if kill is not None]


def _recorded(path: Path, situation: str, play: Callable[[str, Path], object]) -> Counter[str]:
    play(situation, path)
    return Counter(path.read_text().splitlines())


def _rank(seed: str, *name: str) -> bytes:
    return hashlib.sha256(" ".join((seed, *name)).encode()).digest()


def choose(points: Mapping[str, Kill], long: Collection[str]) -> list[object]:
    """The points of a table as parameters; those that are long are left to a soak."""
    assert points.keys() >= set(long)
    return [
        pytest.param(kill, id=name, marks=[pytest.mark.soak] if name in long else []) for name, kill in points.items()
    ]


def seed_of(request: pytest.FixtureRequest) -> str:
    """The seed of a soak."""
    return str(request.config.getoption("hypothesis_seed") or 0)


@contextlib.contextmanager
def explained(request: pytest.FixtureRequest, *kills: Kill) -> Iterator[None]:
    """Name the kills of a numbered test that fails, and the command that repeats it."""
    try:
        yield
    except BaseException as error:
        error.add_note("".join(f"{kill!r}\n" for kill in kills))
        error.add_note(f"pytest -n 0 --soak --hypothesis-seed={seed_of(request)} '{request.node.nodeid}'")
        raise
