"""What is logged, and what never: one line per event on standard error, without other libraries' wire dumps."""

from __future__ import annotations

import logging

_TALKATIVE = ("botocore", "boto3", "urllib3", "httpx", "httpcore", "hpack", "asyncio", "s3transfer")


def configure(*, debug: bool) -> None:
    """Send log lines to standard error.

    Args:
        debug: Log our own steps too. Other libraries stay at errors: their lines hold headers, bodies and tracebacks
            of what we report ourselves, as one sentence.
    """
    logging.basicConfig(
        level=logging.DEBUG if debug else logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        force=True,
    )
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
