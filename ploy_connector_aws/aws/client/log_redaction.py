"""Suppresses botocore's debug logs: they show the external ID, secret keys, session tokens and signatures."""

from __future__ import annotations

import logging
import pkgutil
from functools import cache

import botocore
import botocore.retries


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def silence_botocore() -> None:
    """Drop botocore's debug records, whatever log levels are set before or after.

    A level on a child logger overrides one on its parent; it does not override a filter on the logger itself. Each of
    botocore's modules has a logger of its own name, and new ones may log requests too, so every one gets the filter.
    """
    for name in _module_names():
        logging.getLogger(name).addFilter(_is_above_debug)


@cache
def _module_names() -> tuple[str, ...]:
    packages = (botocore, botocore.retries)
    return tuple(
        each.name for package in packages for each in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    )
