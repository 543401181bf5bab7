"""The public hook specification: everything that a connector or a host for connectors needs, and no AWS.

Map: ``hooks`` (what is called), ``records`` (what is reported), ``pages`` (records inside scopes that prove
completeness), ``changes`` (grant and revoke), ``reports`` (connection tests) and ``progress`` (told while they are
made), ``errors`` (what may be raised), ``manifest`` (what is known of a connector beforehand), ``wizard`` (its set-up
as data), ``answers`` (how a host reads what was typed), ``templates`` (how the wizard's documents and links are
rendered), ``discovery`` (finding connectors), ``host`` (checking and opening them), ``hook_calls`` (calling hooks),
``page_check`` and ``change_check`` (judging what they answer), ``redaction`` (keeping secrets out of texts),
``serving`` (for whom an instance works, who counts its calls).
"""

from .answers import read_answer, show_answer
from .change_check import change_access
from .changes import AccessChange, AccessPath, AccessRequest
from .discovery import InstalledConnectors, RefusedConnector, find_connectors
from .errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectorError,
    HookFailedError,
    InvalidAnswerError,
    NotFound,
    PermissionMissing,
    Refused,
    TemporaryError,
)
from .hooks import ConnectorHooks, hookimpl
from .host import Connector, ConnectorRefused, InstalledConnector, check_connectors
from .manifest import SPEC_VERSION, Manifest
from .pages import Failure, Page
from .progress import hearing_checks, tell_checks
from .records import Account, Email, Entitlement, ExternalId, Grant, Record, RecordKey, Resource
from .reports import Check, ConnectionReport
from .serving import Serving, current_serving
from .templates import TemplateError, render
from .wizard import (
    Document,
    Feature,
    Link,
    OperatorValue,
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
    "Connector",
    "ConnectorError",
    "ConnectorHooks",
    "ConnectorRefused",
    "Document",
    "Email",
    "Entitlement",
    "ExternalId",
    "Failure",
    "Feature",
    "Grant",
    "HookFailedError",
    "InstalledConnector",
    "InstalledConnectors",
    "InvalidAnswerError",
    "Link",
    "Manifest",
    "NotFound",
    "OperatorValue",
    "Page",
    "Permission",
    "PermissionMissing",
    "Record",
    "RecordKey",
    "Refused",
    "RefusedConnector",
    "Resource",
    "Serving",
    "Step",
    "TemplateError",
    "TemporaryError",
    "Wizard",
    "WizardField",
    "change_access",
    "check_connectors",
    "choose_features",
    "current_serving",
    "find_connectors",
    "hearing_checks",
    "hookimpl",
    "read_answer",
    "render",
    "show_answer",
    "tell_checks",
    "to_settings",
]
