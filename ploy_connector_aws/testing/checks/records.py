"""Checks of the records of one read."""

from __future__ import annotations

from collections.abc import Iterator

from ploy_connector_aws.testing.reading import name_of
from ploy_connector_aws.testing.results import Problem
from ploy_connector_aws.testing.validation import Validation


def find_duplicates(validation: Validation) -> Iterator[Problem]:
    """Find records that one scope lists twice."""
    seen: set[tuple[str, str, str]] = set()
    for page in validation.first.pages:
        for record in page.page.records:
            key = (page.page.scope, record.record_type, record.id)
            if key in seen:
                yield Problem(name_of(record), f"{page.where} lists it twice.")
            seen.add(key)
