"""``ConnectorTests``: the base class of an author's test class, one test of pytest for each rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from .driver import Driver
from .results import Rule
from .rules import RULES
from .validation import Validation


class ConnectorTests:
    """All rules for one connector. Subclass it in a test file, with a name that begins with ``Test``.

        class TestStaff(ConnectorTests):
            connector = "staff"  # or the class itself
            settings = {"folder": "tests/data"}

    Settings that are known only while the tests run come from a fixture that overrides ``connector_settings``.
    """

    connector: ClassVar[str | type]
    """The name of an installed connector, the class in a file (``./staff.py:Staff``), or a class."""
    settings: ClassVar[Mapping[str, Any]] = {}
    """The settings of the integration that is read. Tier 0 changes nothing there."""
    driver: ClassVar[type[Driver] | None] = None
    """Changes the source, for tiers 1 and 2; None to test tier 0 only."""

    @pytest.fixture(scope="class")
    @classmethod
    def connector_settings(cls) -> Mapping[str, Any]:
        """Return the settings; override it where they need another fixture."""
        return cls.settings

    @pytest.fixture(scope="class")
    @classmethod
    def validation(cls, connector_settings: Mapping[str, Any], pytestconfig: pytest.Config) -> Iterator[Validation]:
        """Yield the connector under test, whose reads the tests of this class share."""
        if not hasattr(cls, "connector"):
            pytest.fail(f"{cls.__name__} has no class attribute 'connector': the name of a connector, or its class.")
        every_page = bool(pytestconfig.getoption("ploy_every_page", default=False))
        with Validation(cls.connector, connector_settings, cls.driver, every_page=every_page) as validation:
            yield validation

    @pytest.mark.parametrize("rule", RULES, ids=[rule.id for rule in RULES])
    def test_rule(self, rule: Rule, validation: Validation, request: pytest.FixtureRequest) -> None:
        """Test one rule."""
        result = validation.check(rule)
        # Not by record_property, which warns where a JUnit file of the default family is written.
        noted = request.node.user_properties
        noted += [("ploy_rule", rule.id), ("ploy_outcome", result.outcome)]
        if (reads := validation.describe_reads()) is not None:
            noted.append(("ploy_reads", reads))
        if result.outcome == "warning":
            noted.append(("ploy_warning", str(result)))
        elif result.outcome == "skipped":
            noted.append(("ploy_reason", result.reason))
            pytest.skip(result.reason or "")
        elif result.outcome == "failed":
            pytest.fail(str(result), pytrace=False)
