"""Removes environment variables that would redirect clients past the local servers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

_ELSEWHERE = r"^(AWS|PLOY)_|_(PROXY|proxy)$|^(SSL_CERT_FILE|SSL_CERT_DIR|REQUESTS_CA_BUNDLE)$"

UNSET_SCRIPT = f"""for ploy_name in $(awk 'BEGIN {{ for (name in ENVIRON) if (name ~ /^[A-Za-z0-9_]+$/ \
&& name ~ /{_ELSEWHERE}/) print name }}'); do unset "$ploy_name"; done
unset ploy_name
"""
"""The same as a script for any POSIX shell, to be read with ``.``."""


def is_redirecting(variable: str) -> bool:
    """Whether a variable sets an endpoint, proxy, certificate or identity for clients of AWS or of Ploy.

    botocore has too many to list, such as one endpoint per service, so the prefix decides.
    """
    return re.search(_ELSEWHERE, variable) is not None


def scrub() -> None:
    """Remove all such variables from this process's environment."""
    for variable in list(os.environ):
        if is_redirecting(variable):
            del os.environ[variable]


@contextmanager
def clean_surroundings() -> Iterator[None]:
    """Remove them while the block runs, and restore the whole environment at its end."""
    before = dict(os.environ)
    scrub()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
