"""Keeps botocore's debug logs shut: they show the external id, secret keys, session tokens and signatures."""

from __future__ import annotations

import logging
import pkgutil
from functools import cache

import botocore
import botocore.retries


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def silence_botocore() -> None:
    """Drop botocore's debug records, whatever levels anybody sets, before or after.

    A level on the parent logger would be undone by a level on a child; a filter on the logger itself cannot be. Each
    of botocore's modules has a logger of its own name, and new ones may show requests too, so none is left out.
    """
    for name in _module_names():
        logging.getLogger(name).addFilter(_is_above_debug)


@cache
def _module_names() -> tuple[str, ...]:
    packages = (botocore, botocore.retries)
    return tuple(
        each.name for package in packages for each in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    )
