"""Finding the installed connectors, and checking each independently: a broken one does not affect the others.

The name of an entry point is the name of its connector, so one can be loaded without the others.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from importlib.metadata import Distribution, EntryPoint, distributions
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ploy_connector_aws.spec.bounds import describe_errors
from ploy_connector_aws.spec.hooks import PROJECT_NAME
from ploy_connector_aws.spec.manifest import SPEC_VERSION, Manifest

from .connectors import Connector, InstalledConnector, InvalidConnectorError
from .default_wizard import make_wizard
from .hook_check import HOOKS
from .safe_errors import LONGEST_MESSAGE, describe_exception, to_text
from .setting_schema import find_schema_errors, inline

LOAD_SECONDS = 20.0
"""Time limit for reading a distribution's metadata, and for importing and checking its connector."""

_OWN_PACKAGE = __name__.partition(".")[0]
_LONGEST_NAME = 100

_T = TypeVar("_T")


@dataclass(frozen=True)
class RefusedConnector:
    """An installed connector that cannot be used."""

    name: str | None
    """The name of its entry point; None if the entry points of the distribution cannot be read."""
    distribution: str
    reason: str


@dataclass(frozen=True)
class Candidate:
    """An entry point of our group, not loaded."""

    distribution: str
    entry_point: EntryPoint

    @property
    def is_of_own_distribution(self) -> bool:
        """Whether the distribution has the name of ours."""
        return re.sub("[-_.]+", "_", self.distribution).lower() == _OWN_PACKAGE

    @property
    def is_own(self) -> bool:
        """Whether its entry point loads our own code, in whichever distribution."""
        return self.entry_point.value.partition(":")[0].strip().split(".")[0] == _OWN_PACKAGE


class InstalledConnectors(Mapping[str, InstalledConnector]):
    """The installed connectors by name. A connector is loaded at first access; unusable ones are left out.

    ``connectors["name"]`` raises ``InvalidConnectorError`` for one that cannot be used, ``KeyError`` for one that is
    not installed.
    """

    def __init__(self, candidates: Iterator[Candidate | RefusedConnector]) -> None:
        self._candidates: dict[str, list[Candidate]] = {}
        self._refused: list[RefusedConnector] = []
        self._loaded: dict[str, InstalledConnector | InvalidConnectorError] = {}
        for each in candidates:
            if isinstance(each, RefusedConnector):
                self._refused.append(each)
            else:
                self._candidates.setdefault(each.entry_point.name, []).append(each)
        for name, rivals in self._candidates.items():
            self._settle_rivals(name, rivals)

    def _settle_rivals(self, name: str, rivals: list[Candidate]) -> None:
        """Of several connectors of one name, keep that of our own distribution or, without one, none."""
        if len(rivals) == 1:
            return
        own_first = sorted(rivals, key=lambda each: not each.is_of_own_distribution)
        own = next((each for each in own_first if each.is_own), None)
        for each in rivals:
            if each is own:
                continue
            others = sorted({other.distribution for other in rivals if other is not each} - {each.distribution})
            named = " and ".join(repr(other) for other in others)
            reason = f"its name {name!r} is also that of distribution {named}" if others else f"it names {name!r} twice"
            if own is not None:
                reason = f"the name {name!r} belongs to distribution {own.distribution!r}"
            self._refused.append(RefusedConnector(name, each.distribution, reason))
        self._candidates[name] = [own] if own is not None else []

    def candidates(self, name: str) -> Sequence[Candidate]:
        """Return what is installed under a name, without loading it."""
        return self._candidates.get(name, ())

    def __getitem__(self, name: str) -> InstalledConnector:
        """Load one connector.

        Raises:
            KeyError: None of that name is installed.
            InvalidConnectorError: It is installed and cannot be used.
        """
        rivals = self._candidates[name]
        if not rivals:
            first = min((each for each in self._refused if each.name == name), key=lambda each: each.distribution)
            raise InvalidConnectorError(first.distribution, first.reason)
        if name not in self._loaded:
            try:
                self._loaded[name] = _load(rivals[0])
            except InvalidConnectorError as error:
                self._loaded[name] = error
        loaded = self._loaded[name]
        if isinstance(loaded, InvalidConnectorError):
            raise loaded
        return loaded

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the usable connectors; loads all."""
        for name in sorted(self._candidates):
            try:
                self[name]
            except InvalidConnectorError:
                continue
            yield name

    def __len__(self) -> int:
        """The number of usable connectors; loads all."""
        return sum(1 for _ in self)

    @property
    def refused(self) -> tuple[RefusedConnector, ...]:
        """The unusable connectors, by name and distribution; loads all."""
        found = list(self._refused)
        for name, rivals in self._candidates.items():
            if rivals:
                try:
                    self[name]
                except InvalidConnectorError as error:
                    found.append(RefusedConnector(name, error.distribution, error.reason))
        return tuple(sorted(found, key=lambda each: (each.name or "", each.distribution)))


def find_connectors() -> InstalledConnectors:
    """Find the installed connectors without loading them.

    The result, with the loaded connectors, is cached until a package is installed or removed: until a folder of
    ``sys.path`` changes.
    """
    return _find_in(tuple((folder, _modified_at(folder)) for folder in sys.path))


@lru_cache(maxsize=1)
def _find_in(_: tuple[tuple[str, int | None], ...]) -> InstalledConnectors:
    return InstalledConnectors(_find_candidates())


def _modified_at(folder: str) -> int | None:
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return None


def _find_candidates() -> Iterator[Candidate | RefusedConnector]:
    seen: set[str] = set()
    has_own = False
    for distribution in distributions():
        name = _name_of(distribution)
        try:
            found = _within(LOAD_SECONDS, partial(_read_entry_points, name, distribution))
        except _TooSlowError:
            reason = f"its entry points could not be read within {LOAD_SECONDS:g} seconds"
            found = [RefusedConnector(None, name, reason)]
        key = re.sub("[-_.]+", "_", name).lower()
        if key in seen:  # as in Python, the first of a name on the path counts; it must not hide our own connector
            found = [each for each in found if isinstance(each, Candidate) and each.is_own and not has_own]
        seen.add(key)
        has_own = has_own or any(isinstance(each, Candidate) and each.is_own for each in found)
        yield from found


def _read_entry_points(name: str, distribution: Distribution) -> list[Candidate | RefusedConnector]:
    """Return the entry points of our group; for an unreadable distribution that names our group, a refusal."""
    text: str | bytes = ""
    try:
        text = distribution.read_text("entry_points.txt") or ""
        return [Candidate(name, each) for each in distribution.entry_points if each.group == PROJECT_NAME]
    except UnicodeDecodeError as error:
        text = error.object
        reason = "its entry_points.txt is not UTF-8"
    except Exception as error:  # noqa: BLE001 - the metadata of any package on this machine
        reason = f"its entry points cannot be read ({describe_exception(error)})"
    group = f"[{PROJECT_NAME}]"
    names_group = group in text if isinstance(text, str) else group.encode() in text
    return [RefusedConnector(None, name, reason)] if names_group else []


def _name_of(distribution: Distribution) -> str:
    """Return the distribution's name or, without one in the metadata, that of its folder."""
    try:
        name = distribution.metadata["Name"]
    except Exception:  # noqa: BLE001 - the metadata of any package on this machine
        name = None
    if not isinstance(name, str) or not name:
        folder = getattr(distribution, "_path", None)
        name = Path(str(folder)).stem.rpartition("-")[0] or Path(str(folder)).name if folder else "unnamed"
    return to_text(name, _LONGEST_NAME)


def _load(candidate: Candidate) -> InstalledConnector:
    """Import and check one connector.

    Raises:
        InvalidConnectorError: It cannot be imported, or breaks the specification.
    """
    work = partial(_load_now, candidate)
    return work() if candidate.is_own else within_limit(candidate.distribution, work)


def within_limit(distribution: str, load: Callable[[], InstalledConnector]) -> InstalledConnector:
    """Load a connector within the time limit.

    Raises:
        InvalidConnectorError: It takes longer, or ``load`` raises it.
    """
    try:
        return _within(LOAD_SECONDS, load)
    except _TooSlowError:
        reason = f"it could not be imported and checked within {LOAD_SECONDS:g} seconds"
    raise InvalidConnectorError(distribution, reason)


def _load_now(candidate: Candidate) -> InstalledConnector:
    distribution, entry_point = candidate.distribution, candidate.entry_point
    with rejecting(distribution, f"its entry point {entry_point.name!r} cannot be loaded"):
        loaded: Any = entry_point.load()
    if not isinstance(loaded, type):
        raise InvalidConnectorError(distribution, f"its entry point {entry_point.name!r} does not name a class")
    with rejecting(distribution, f"its class {loaded.__name__!r} cannot be checked"):
        connector = check_connector(distribution, loaded)
    if connector.name != entry_point.name:
        raise InvalidConnectorError(
            distribution,
            f"its entry point is named {entry_point.name!r} and its manifest {connector.name!r}; both must be the same",
        )
    return connector


def check_connector(distribution: str, connector_class: type) -> InstalledConnector:
    """Check one connector class.

    Raises:
        InvalidConnectorError: It breaks the specification; the message names its distribution.
    """
    name = connector_class.__name__
    try:
        manifest = connector_class.manifest  # type: ignore[attr-defined]
    except AttributeError:
        manifest = None
    except Exception as error:
        raise InvalidConnectorError(
            distribution, f"the manifest of class {name!r} cannot be read ({describe_exception(error)})"
        ) from error
    if not isinstance(manifest, Manifest):
        given = "" if manifest is None else f", only something of type {type(manifest).__name__!r}"
        raise InvalidConnectorError(distribution, f"class {name!r} has no class attribute 'manifest'{given}")
    manifest = _check_manifest(distribution, manifest)
    opened = Connector(InstalledConnector(distribution, connector_class, manifest))
    hooks = tuple(name for name in HOOKS if opened.implements(name))
    return replace(opened.installed, manifest=manifest.model_copy(update={"hooks": hooks}))


def _check_manifest(distribution: str, manifest: Manifest) -> Manifest:
    """Validate a manifest again, as its author may have bypassed the model, and fill in a wizard where it has none."""
    version = vars(manifest).get("spec_version")
    if version != SPEC_VERSION or type(version) is not int:
        is_later = type(version) is int and version > SPEC_VERSION
        fix = (
            "upgrade the host: pip install --upgrade ploy-connector-aws"
            if is_later
            else "write spec_version=SPEC_VERSION in its manifest"
        )
        raise InvalidConnectorError(
            distribution,
            f"it needs version {to_text(repr(version), 100)} of the hook specification, but this host supports version"
            f" {SPEC_VERSION}; {fix}",
        )
    try:
        checked = Manifest.model_validate_json(manifest.model_dump_json(warnings="error"))
        plain = inline(checked.config_schema)
    except ValidationError as error:
        raise InvalidConnectorError(distribution, f"its manifest is not valid ({describe_errors(error)})") from None
    except Exception as error:
        raise InvalidConnectorError(distribution, f"its manifest is not valid ({describe_exception(error)})") from error
    for problem in find_schema_errors(plain):
        raise InvalidConnectorError(distribution, f"its manifest is not valid: {to_text(problem, LONGEST_MESSAGE)}")
    checked = checked.model_copy(update={"config_schema": plain})
    return checked.model_copy(update={"wizard": checked.wizard or make_wizard(checked)})


@contextmanager
def rejecting(distribution: str, problem: str) -> Iterator[None]:
    """Convert every exception of the block, also SystemExit, into an ``InvalidConnectorError``; Ctrl-C stays."""
    try:
        yield
    except InvalidConnectorError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            raise
        raise InvalidConnectorError(distribution, f"{problem} ({describe_exception(error)}){_later(error)}") from error


def _later(error: BaseException) -> str:
    """Name the cause where a connector needs a part of our package that this version does not have."""
    is_unknown_field = (
        isinstance(error, ValidationError) and error.title == "Manifest" and "extra_forbidden" in describe_errors(error)
    )
    is_missing_name = isinstance(error, ImportError) and (error.name or "").partition(".")[0] == _OWN_PACKAGE
    if not (is_unknown_field or is_missing_name):
        return ""
    return "; if it is written for a later version of ploy-connector-aws, pip install --upgrade ploy-connector-aws"


class _TooSlowError(Exception):
    """A time limit was exceeded."""


def _within(seconds: float, work: Callable[[], _T]) -> _T:
    """Run a function in a thread of its own, and wait for it within a time limit.

    Raises:
        _TooSlowError: It did not end; its thread is abandoned.
        Exception: The exception of the function.
    """
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the waiting thread
            future.set_exception(error)

    threading.Thread(target=run, name="load-connector", daemon=True).start()
    if wait([future], seconds).not_done:
        raise _TooSlowError
    return future.result()
