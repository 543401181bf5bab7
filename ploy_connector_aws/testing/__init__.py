"""The kit for authors of connectors: rules that a connector must keep, tested on a real system or with a driver.

A test file of pytest needs no more than this:

    from ploy_connector_aws.testing import ConnectorTests


    class TestStaff(ConnectorTests):
        connector = "staff"
        settings = {"folder": "tests/data"}

Everything here is imported at first use, as pytest loads ``plugin`` in every session where this package is installed.

Map: ``connector_tests`` (the class above), ``rules`` and ``driver_rules`` (the tables of rules), ``results`` (a rule,
and its result), ``validation`` (one connector under test: the reads that its rules share), ``instance`` (one instance
of it, and what it prints and counts), ``reading`` (one read of all lists), ``cuts`` (where reads are ended), ``checks``
(what the rules test), ``driver`` (changes the source, for tiers 1 and 2), ``proxy`` (cuts and delays the connections to
it), ``faults`` (the reads of tier 1), ``writes`` (the grants and revokes of tier 2), ``access_paths`` (a search for
paths in a read), ``snapshot`` (reads and the changes between them), ``plugin`` (for pytest).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connector_tests import ConnectorTests
    from .driver import Driver
    from .proxy import CuttingProxy
    from .results import NotTestedError, Problem, Result, Rule
    from .rules import RULES
    from .snapshot import Changes, Snapshot, read
    from .validation import Validation

__all__ = [
    "RULES",
    "Changes",
    "ConnectorTests",
    "CuttingProxy",
    "Driver",
    "NotTestedError",
    "Problem",
    "Result",
    "Rule",
    "Snapshot",
    "Validation",
    "read",
]

_HOMES = {
    "RULES": "rules",
    "Changes": "snapshot",
    "ConnectorTests": "connector_tests",
    "CuttingProxy": "proxy",
    "Driver": "driver",
    "NotTestedError": "results",
    "Problem": "results",
    "Result": "results",
    "Rule": "results",
    "Snapshot": "snapshot",
    "Validation": "validation",
    "read": "snapshot",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:
    """Import a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
