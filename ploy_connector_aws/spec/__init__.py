"""The public hook specification: everything that the author of a connector needs, and no AWS.

Map: ``hooks`` (the hooks), ``context`` (of one instance), ``records``, ``pages`` (records inside scopes that prove
completeness), ``changes`` (grant and revoke), ``reports`` (connection tests, and their progress), ``errors``,
``manifest`` (known before configuring), ``labels`` (what people call records, and their place), ``wizard`` (the set-up
as data), ``templates`` (of its documents and links), ``bounds`` and ``expressions`` (accepted values), ``lists`` (comma
lists), ``_models`` (the base class).
"""

from .changes import AccessChange, AccessPath, AccessRequest, KnownAccess
from .context import ConnectorContext
from .errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    HookFailedError,
    InvalidAnswerError,
    NotFoundError,
    PermissionDeniedError,
    PloyError,
    RejectedError,
    TemporaryError,
)
from .hooks import ConnectorHooks, hookimpl
from .labels import Label, Labels
from .manifest import SPEC_VERSION, Manifest
from .pages import Failure, Page
from .records import Account, Email, Entitlement, ExternalId, Finding, Grant, Record, RecordKey, Resource
from .reports import Check, ConnectionReport, Progress, ignore_progress
from .templates import TemplateError, render
from .wizard import (
    Document,
    Feature,
    HostParameter,
    Link,
    Permission,
    Step,
    Wizard,
    WizardField,
    choose_features,
    to_settings,
)

__all__ = [
    "SPEC_VERSION",
    "AccessChange",
    "AccessPath",
    "AccessRequest",
    "Account",
    "AuthenticationError",
    "Check",
    "ConfigurationError",
    "ConnectionReport",
    "ConnectorContext",
    "ConnectorError",
    "ConnectorHooks",
    "Document",
    "Email",
    "Entitlement",
    "ExternalId",
    "Failure",
    "Feature",
    "Finding",
    "Grant",
    "HookFailedError",
    "HostParameter",
    "InvalidAnswerError",
    "KnownAccess",
    "Label",
    "Labels",
    "Link",
    "Manifest",
    "NotFoundError",
    "Page",
    "Permission",
    "PermissionDeniedError",
    "PloyError",
    "Progress",
    "Record",
    "RecordKey",
    "RejectedError",
    "Resource",
    "Step",
    "TemplateError",
    "TemporaryError",
    "Wizard",
    "WizardField",
    "choose_features",
    "hookimpl",
    "ignore_progress",
    "render",
    "to_settings",
]
