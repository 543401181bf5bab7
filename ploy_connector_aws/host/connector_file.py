"""Loading of a connector that is not installed, from its file."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from functools import cache, partial
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

from ploy_connector_aws.spec.errors import ConfigurationError

from .connectors import InstalledConnector, InvalidConnectorError
from .discovery import Candidate, check_connector, find_connectors, rejecting, within_limit

_log = logging.getLogger(__name__)


def is_file_reference(connector: str) -> bool:
    """Return whether a text names a class in a file, as in ``./staff.py:Staff``, and not an installed connector."""
    return any(each in connector for each in "./:")


def load_file(reference: str) -> InstalledConnector:
    """Import a connector from a file, and check it as an installed one.

    Args:
        reference: The file and the name of the class, as in ``./staff.py:Staff``.

    Raises:
        ConfigurationError: It names no class, or no file.
        InvalidConnectorError: It cannot be imported, breaks the specification, or has the name of a connector of ours.
    """
    return _load_file(*_find(reference, "integration.connector"))


def load_class(reference: str) -> type:
    """Import a class from a file, such as the driver of a test.

    The folder of the file becomes the first on Python's path, as when Python runs the file; for a file in a package,
    the folder that holds the package does.

    Raises:
        ConfigurationError: There is no such file or class, or it cannot be imported.
    """
    path, name, shown = _find(reference, None)
    try:
        return _load_class(path, name, shown)
    except InvalidConnectorError as error:
        raise ConfigurationError(f"The file {shown!r} cannot be used: {error.reason}.") from error


def _find(reference: str, setting: str | None) -> tuple[Path, str, str]:
    """Return the file, the name of the class, and the file as it is shown; errors name the setting."""
    file, _, name = reference.rpartition(":")
    if not file or not name.isidentifier():
        raise ConfigurationError(
            f"{reference!r} names no class.", field=setting, fix="give FILE:CLASS, as ./staff.py:Staff"
        )
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise ConfigurationError(f"There is no file {file!r}.", field=setting)
    return path, name, file if "/" in file else f"./{file}"


@cache
def _load_file(path: Path, name: str, shown: str) -> InstalledConnector:
    installed, original_path = find_connectors(), list(sys.path)
    connector = within_limit(shown, partial(_load_connector, path, name, shown))
    for rival in installed.candidates(connector.name):
        if _is_same_file(rival, connector.connector_class, original_path):
            continue
        if rival.is_own:
            raise InvalidConnectorError(
                shown, f"the name {connector.name!r} belongs to distribution {rival.distribution!r}"
            )
        _log.warning(
            "%s:%s is used instead of the installed connector %r of distribution %r",
            *(shown, name, connector.name, rival.distribution),
        )
    return connector


def _load_connector(path: Path, name: str, shown: str) -> InstalledConnector:
    loaded = _load_class(path, name, shown)
    with rejecting(shown, f"its class {name!r} cannot be checked"):
        return check_connector(shown, loaded)


def _load_class(path: Path, name: str, shown: str) -> type:
    with rejecting(shown, "it cannot be imported"):
        module = _import_file(path, shown)
        loaded = getattr(module, name, None)
    if isinstance(loaded, type):
        return loaded
    known = [each for each, value in vars(module).items() if isinstance(value, type) and hasattr(value, "manifest")]
    classes = f"; its classes with a manifest are {', '.join(known)}" if known else ""
    raise InvalidConnectorError(shown, f"it has no class {name!r}{classes}")


def _import_file(path: Path, shown: str) -> ModuleType:
    folder, names = path.parent, [] if path.stem == "__init__" else [path.stem]
    while (folder / "__init__.py").is_file():
        folder, names = folder.parent, [folder.name, *names]
    if names[0] in sys.stdlib_module_names:
        raise InvalidConnectorError(shown, f"Python has a module {names[0]!r} of its own; rename the file")
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    module = importlib.import_module(".".join(names))
    if Path(module.__file__ or "").resolve() != path:
        sys.path.remove(str(folder))
        raise InvalidConnectorError(shown, f"another module {module.__name__!r} is already imported; rename the file")
    return module


def _is_same_file(candidate: Candidate, connector_class: type, path: Sequence[str]) -> bool:
    """Return whether an installed connector is the one in the file: its package is installed to be edited in place."""
    module = connector_class.__module__
    top = module.partition(".")[0]
    found = PathFinder.find_spec(top, path)
    is_file = found is not None and found.origin == sys.modules[top].__file__
    return is_file and candidate.entry_point.module == module
