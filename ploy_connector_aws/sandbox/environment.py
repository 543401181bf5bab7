"""The caller's environment, without what would lead a client past the local servers, or to somebody else's AWS."""

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
"""The same for a shell that reads it with ``.``; every POSIX shell can."""


def is_redirecting(variable: str) -> bool:
    """Whether a variable tells the clients of AWS or of Ploy where to go, whom to trust, or who they are.

    botocore has too many of them to list, one more for the endpoint of each service: all that begin so are meant.
    """
    return re.search(_ELSEWHERE, variable) is not None


def scrub() -> None:
    """Take all such variables out of this process's environment."""
    for variable in list(os.environ):
        if is_redirecting(variable):
            del os.environ[variable]


@contextmanager
def clean_surroundings() -> Iterator[None]:
    """Do without them while the block runs; what the block sets itself goes with it."""
    before = dict(os.environ)
    scrub()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
