"""``Validation``: one connector under test, and the reads that its rules share."""

from __future__ import annotations

import gc
import inspect
import pickle
import tempfile
import traceback
import tracemalloc
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from ploy_connector_aws.host import InstalledConnector, InvalidConnectorError
from ploy_connector_aws.host.hook_check import LIST_HOOKS
from ploy_connector_aws.host.safe_errors import describe_exception, name_file
from ploy_connector_aws.reference import Generation, Key, Outcome, compare, read_pages
from ploy_connector_aws.spec import ConfigurationError, ConnectionReport, Page, PloyError

from .cuts import Cut, plan_cuts
from .driver import Driver
from .instance import Instance, find_connector
from .reading import NOTHING, Reading, SeenPage, Summary, name_of, read_lists, shorten, size_of, summarise
from .results import NotTestedError, Problem, Result, Rule, Shared, examine

if TYPE_CHECKING:
    from .faults import FaultyReads
    from .writes import Trials

FEWEST_RECORDS = 1_000
"""A read of fewer records shows too little of how the memory of a connector grows."""

MEASUREMENTS = 8
"""The number of memory measurements during a read. Few, because each one collects garbage."""

MOST_DRIVEN_READS = 37
"""Reads of tiers 1 and 2 at most; each rule that sees a difference reads once more."""

MOST_REREADS = 8
"""One for each rule that compares reads; a rule rereads only where it sees a difference."""


@dataclass(frozen=True)
class Plan:
    """How often the rules read the source."""

    pages: int
    """Pages of the first read."""
    records: int
    """Records of the first read."""
    calls: int | None
    """Calls of the first read, by ``ConnectorContext.on_call``; None where the connector counts none."""
    cuts: tuple[Cut, ...]
    pages_not_cut: int
    """Pages at which no read is cut."""
    reads: int
    """All reads, the first included. One that is cut, that skips scopes or reads one list, counts as a whole one."""
    driven_reads: int = 0
    """The most reads of tiers 1 and 2, where no rule is broken; 0 without a driver."""

    @property
    def most_calls(self) -> int | None:
        """The calls of all reads at most; None where the connector counts none."""
        return None if self.calls is None else self.calls * (self.reads + MOST_REREADS + self.driven_reads)

    def __str__(self) -> str:
        """Describe it in two or three sentences."""
        driven = f" The rules with a driver change it, and read it at most {self.driven_reads} times more."
        calls = "" if self.most_calls is None else f", with at most {self.most_calls:,} calls"
        return (
            f"The source is read {self.reads} times, and at most {MOST_REREADS} times more where reads differ{calls}."
            f" {len(self.cuts)} of the reads are cut; {self.pages_not_cut} of {self.pages} pages are not cut."
            f"{driven if self.driven_reads else ''}"
        )


class Held(NamedTuple):
    """The memory that a connector held during a read."""

    records: int
    """How many records it had listed."""
    page_bytes: int
    """The size of the last page as JSON: its records are still there."""
    bytes: int
    """What was held more than before the read."""


@dataclass(frozen=True)
class Measured:
    """A read whose records were not kept."""

    reading: Reading
    """It has no pages."""
    summary: Summary
    held: list[Held]
    """Empty where memory was not measured."""


class Validation:
    """One connector under test. A context manager: its end closes the driver.

    Args:
        connector: The name of an installed connector, the class in a file (``./staff.py:Staff``), or a class.
        settings: Those of the integration.
        driver: Changes the source, for tiers 1 and 2; None to test tier 0 only.
        every_page: Whether reads are cut at every page, for a source with few of them.
    """

    def __init__(
        self,
        connector: str | type,
        settings: Mapping[str, Any],
        driver: type[Driver] | None = None,
        *,
        every_page: bool = False,
    ) -> None:
        self._connector = connector
        self._settings = dict(settings)
        self._driver_class = driver
        self.every_page = every_page
        self.not_tested: dict[str | None, str] = {}
        """Why a shared property has no value, by its name."""
        self.instances: list[Instance] = []
        """All that were opened with the settings of the integration."""
        self.reads = 0
        """How often lists were read so far, in whole or in part."""
        self._folder = tempfile.TemporaryDirectory(prefix="ploy-validation-")
        self._open_instances = ExitStack()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close instances and the driver, and remove temporary files."""
        with ExitStack() as stack:
            stack.callback(self._folder.cleanup)
            if "driver" in vars(self):
                stack.callback(self.driver.close)
            stack.callback(self._open_instances.close)

    def check(self, rule: Rule) -> Result:
        """Test one rule."""
        return examine(rule, self)

    def load(self) -> InstalledConnector:
        """Find the connector, or check its class; raises as ``instance.find_connector``."""
        return find_connector(self._connector)

    def describe_reads(self) -> str | None:
        """Describe how often the source was read so far, in one sentence; None where it was not."""
        if "plan" not in vars(self):
            return None
        not_cut = f"{self.plan.pages_not_cut} of {self.plan.pages} pages were not cut"
        return f"The source was read {self.reads} times; {not_cut}."

    def locate(self, hook: str | None) -> str | None:
        """Return the file and the line of a hook or, without one, of the class; None where they are not known."""
        if isinstance(self._connector, type):
            connector_class = self._connector
        else:
            try:
                connector_class = self.installed.connector_class
            except NotTestedError:
                return None
        function = inspect.unwrap(getattr(connector_class, hook, connector_class)) if hook else connector_class
        try:
            file, (_, line) = inspect.getsourcefile(function), inspect.getsourcelines(function)
        except (OSError, TypeError):  # e.g. a class that was made by type()
            return None
        return None if file is None else f"{name_file(file)} line {line}"

    @Shared
    def installed(self) -> InstalledConnector:
        """The connector."""
        try:
            return self.load()
        except (InvalidConnectorError, ConfigurationError, KeyError):
            raise NotTestedError("the connector could not be loaded") from None

    @Shared
    def driver(self) -> Driver:
        """The driver."""
        if self._driver_class is None:
            raise NotTestedError("there is no driver that changes the source")
        return self._driver_class(self._settings)

    def describe_driver_error(self, error: Exception) -> str | None:
        """Describe an exception that a method of the driver raised; None if it was raised elsewhere."""
        file = None if self._driver_class is None else inspect.getsourcefile(self._driver_class)
        frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
        return describe_exception(error) if file in frames else None

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the integration; those of the driver where there is one."""
        return self._settings if self._driver_class is None else self.driver.settings

    def try_settings(self, settings: Mapping[str, Any]) -> PloyError | None:
        """Configure an instance with any settings, close it, and return the error of ``configure``."""
        try:
            with Instance().open(self.installed, settings, Path(self._folder.name)):
                return None
        except PloyError as error:
            return error

    @Shared
    def faults(self) -> FaultyReads:
        """The reads of tier 1."""
        from .faults import FaultyReads

        return FaultyReads(self)

    @Shared
    def trials(self) -> Trials:
        """The grants and revokes of tier 2."""
        from .writes import Trials

        return Trials(self)

    def open(self, *, records_output: bool = True) -> Instance:
        """Open an instance with the settings of the integration. The caller closes it.

        Args:
            records_output: Whether to keep what is printed and logged; not in a thread that may be left behind.
        """
        instance = Instance(records_output=records_output)
        try:
            instance.open(self.installed, self.settings, Path(self._folder.name))
        except PloyError as error:
            raise NotTestedError(f"the connector refused its settings: {error.message}") from None
        self.instances.append(instance)
        return instance

    def read(
        self,
        *,
        hooks: Collection[str] = LIST_HOOKS,
        skip: Set[str] = frozenset(),
        cut: Cut | None = None,
    ) -> Reading:
        """Read the lists with an instance of its own, as ``reading.read_lists`` does."""
        with self.open() as instance:
            self.reads += 1
            most_pages = None if cut is None else 2 * len(self.first.pages) + 100
            return read_lists(instance, hooks=hooks, skip=skip, cut=cut, most_pages=most_pages)

    @Shared
    def report(self) -> ConnectionReport | PloyError:
        """The report of the connection test, or what it raised."""
        with self.open() as instance, instance.recording("test_connection"):
            try:
                return instance.connector.test_connection()
            except PloyError as error:
                return error

    @Shared
    def first(self) -> Reading:
        """The first read, with all its records. Its instance stays open for the second one."""
        self.reads += 1
        reading = read_lists(self._open_instances.enter_context(self.open()))
        if not reading.pages:
            raise NotTestedError("the lists of the connector gave no page")
        return reading

    @Shared
    def first_summary(self) -> Summary:
        """Ids and contents of the first read."""
        return summarise(map(shorten, self.first.pages))

    def about(self, key: Key, message: str) -> Problem:
        """Make a problem of a record: a grant shows its two ends, and the hook is that which lists such records.

        Args:
            key: The type and the id of the record.
            message: The message.
        """
        hook, where = self._listed.get(key, (self._hooks_of_types.get(key[0]), f"{key[0]} {key[1]!r}"))
        return Problem(where, message, hook=hook)

    @Shared
    def _listed(self) -> dict[Key, tuple[str | None, str]]:
        """The hook that listed each record in the first read, and the name of the record."""
        return {(each.record_type, each.id): (seen.hook, name_of(each)) for seen, each in self.first.records()}

    @Shared
    def _hooks_of_types(self) -> dict[str, str | None]:
        """A hook that lists records of each type."""
        return {type_: hook for (type_, _), (hook, _) in self._listed.items()}

    @Shared
    def second(self) -> Measured:
        """The second read, of the same instance, as a service makes it. It measures the memory of the connector, if
        there are records enough.
        """
        is_traced = self.plan.records >= FEWEST_RECORDS
        with self._open_instances:
            return self._measure(self.first.instance, len(self.first.pages), is_traced=is_traced)

    def reread(self) -> Summary:
        """Read once more, by an instance of its own, to see whether a difference is a change of the source."""
        with self.open() as instance:
            return self._measure(instance, 0, is_traced=False).summary

    @Shared
    def generation(self) -> Generation:
        """What the first read makes visible."""
        return compare(NOTHING, read_pages(seen.page for seen in self.first.pages)).generation

    def outcome_of(self, pages: Iterable[Page]) -> Outcome:
        """Return what a run would change after the first read was committed."""
        return compare(self.generation, read_pages(pages, self.generation.scopes))

    @Shared
    def skipped(self) -> list[frozenset[str]]:
        """The scopes that are skipped, for each read that skips some: prefixes of those that ended complete."""
        endings = self.first_summary.scopes
        done = [name for name, found in endings.items() if found == {"complete"}]
        return [frozenset(done[:count]) for count in sorted({1, (len(done) + 1) // 2, len(done)} - {0})]

    @Shared
    def later_hooks(self) -> list[str]:
        """The lists after the first one."""
        return [hook for hook in LIST_HOOKS[1:] if hook in self.installed.manifest.hooks]

    @Shared
    def plan(self) -> Plan:
        """How often tier 0 reads the source. It makes the first read."""
        cuts, not_cut = plan_cuts(self.first.pages, every_page=self.every_page)
        others = len(cuts) + len(self.skipped) + len(self.later_hooks)
        return Plan(
            pages=len(self.first.pages),
            records=sum(1 for _ in self.first.records()),
            calls=self.first.calls or None,
            cuts=tuple(cuts),
            pages_not_cut=not_cut,
            reads=2 + others,
            driven_reads=0 if self._driver_class is None else MOST_DRIVEN_READS,
        )

    def _measure(self, instance: Instance, pages: int, *, is_traced: bool) -> Measured:
        """Read everything without keeping it, so that what grows is the connector's.

        Args:
            instance: The instance that reads.
            pages: How many there will be, about.
            is_traced: Whether to measure the memory that is held at some of the pages.
        """
        at = {1 + pages * part // MEASUREMENTS for part in range(MEASUREMENTS)} if is_traced else set()
        held: list[Held] = []
        count = records = 0
        with tempfile.TemporaryFile() as file, _tracing(is_on=is_traced):

            def keep(seen: SeenPage) -> None:
                nonlocal count, records
                count += 1
                short = shorten(seen)
                records += len(short[2])
                pickle.dump(short, file)
                if count in at:
                    held.append(Held(records, size_of(seen), _traced_bytes() - before))

            before = _traced_bytes() if is_traced else 0
            self.reads += 1
            reading = read_lists(instance, on_page=keep)
            file.seek(0)
            return Measured(reading, summarise(pickle.load(file) for _ in range(count)), held)  # noqa: S301 - our own


@contextmanager
def _tracing(*, is_on: bool) -> Iterator[None]:
    """Trace allocations during a block."""
    is_ours = is_on and not tracemalloc.is_tracing()
    if is_ours:
        tracemalloc.start()
    try:
        yield
    finally:
        if is_ours:
            tracemalloc.stop()


def _traced_bytes() -> int:
    """Return the bytes that are held, without garbage."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
