"""What a host imports: finding connectors, opening one for an integration, calling it, checking its answers.

Map: ``discovery`` (finding connectors), ``connectors`` (checking and opening them), ``hook_calls`` (calling hooks),
``page_check`` and ``change_check`` (checking what they return), ``redaction`` (keeping secrets out of texts),
``setting_input`` (text that a person typed, as a setting), ``setup_session`` (the state of a set-up), ``blockers`` (why
an integration may not be used).
"""

from .blockers import Blocker
from .change_check import change_access
from .connectors import Connector, InstalledConnector, InvalidConnectorError, check_connectors
from .discovery import InstalledConnectors, RefusedConnector, find_connectors
from .setting_input import format_setting, parse_setting
from .setup_session import SetupSession

__all__ = [
    "Blocker",
    "Connector",
    "InstalledConnector",
    "InstalledConnectors",
    "InvalidConnectorError",
    "RefusedConnector",
    "SetupSession",
    "change_access",
    "check_connectors",
    "find_connectors",
    "format_setting",
    "parse_setting",
]
