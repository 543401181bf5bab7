"""IAM as moto answers it, behind our signatures and permissions."""

from __future__ import annotations

import threading
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug.test import run_wsgi_app

from ploy_connector_aws.sandbox.aws.requests import Asked, HttpRequest, not_known

if TYPE_CHECKING:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

# The reads that this local AWS knows; none of them has resource-level permissions (AWS.md 1.6).
OPERATIONS = frozenset({"GetAccountAuthorizationDetails", "ListRoles", "ListUsers", "ListPolicies", "ListGroups"})
_making = threading.Lock()


def iam_resources(asked: Asked) -> list[str]:
    """The ARNs that the action must be allowed on.

    Raises:
        AwsError: an action that this local AWS does not know.
    """
    if asked.operation not in OPERATIONS:
        raise not_known(f"the action {asked.action}")
    return ["*"]


def answer_iam(request: HttpRequest, account_id: str) -> tuple[int, str, bytes]:
    """Status, content type and body of moto's answer for this account."""
    target = urlsplit(request.target)
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": target.path,
        "QUERY_STRING": target.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(request.body),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(request.body)),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()},
        # moto would otherwise look the key up in every account it knows, and fall back to 123456789012.
        "HTTP_X_MOTO_ACCOUNT_ID": account_id,
    }
    with _making:
        application = _moto()
    body, status, headers = run_wsgi_app(application, environ, buffered=True)
    return int(status.split(" ", 1)[0]), headers.get("Content-Type", "text/xml"), b"".join(body)


@cache
def _moto() -> DomainDispatcherApplication:
    """moto's server, made on the first IAM call: it takes longer than everything else here together."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    return DomainDispatcherApplication(create_backend_app)
