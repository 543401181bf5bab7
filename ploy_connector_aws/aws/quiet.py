"""Keeps botocore's debug logs shut: they show the external id, secret keys, session tokens and signatures."""

from __future__ import annotations

import logging
import pkgutil

import botocore
import botocore.retries


def _is_above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def silence_botocore() -> None:
    """Drop botocore's debug records, whatever levels anybody sets, before or after.

    A level on the parent logger would be undone by a level on a child; a filter on the logger itself cannot be. Each
    of botocore's modules has a logger of its own name, and new ones may show requests too, so none is left out.
    """
    for package in (botocore, botocore.retries):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            logging.getLogger(module.name).addFilter(_is_above_debug)
