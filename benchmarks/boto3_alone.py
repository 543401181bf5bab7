"""The same calls as a sync made, by boto3 alone: ``python -m benchmarks.boto3_alone CALLS``, a JSON list of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from .organisations import REGION

_CLIENTS = {"sso": "sso-admin"}
"""By the service of the signature, the client, where its name is another."""


def main() -> None:
    """Make the calls, one after the other."""
    session = boto3.Session(region_name=REGION)
    clients: dict[str, Any] = {}
    for service, operation, parameters in json.loads(Path(sys.argv[1]).read_text()):
        client = clients.get(service)
        if client is None:
            client = clients[service] = session.client(
                _CLIENTS.get(service, service), config=Config(retries={"mode": "standard"})
            )
        if service == "iam":
            parameters = _to_members(parameters)
        try:
            client._make_api_call(operation, parameters)
        except ClientError as error:
            if error.response["Error"]["Code"] != "AccessDeniedException":  # the sync was denied it, too
                raise


def _to_members(flat: dict[str, str]) -> dict[str, Any]:
    """Convert the parameters of a request of the query protocol."""
    found: dict[str, Any] = {}
    for name, value in flat.items():
        if ".member." in name:
            found.setdefault(name.partition(".")[0], []).append(value)
        elif name != "Version":
            found[name] = int(value) if name == "MaxItems" else value
    return found


if __name__ == "__main__":
    main()
