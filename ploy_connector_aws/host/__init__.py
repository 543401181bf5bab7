"""What a host imports: finding connectors, opening one for an integration, calling it, checking its answers.

Map: ``discovery`` (finding connectors and checking each), ``connector_file`` (loading one that is not installed),
``hook_check`` (checking their methods), ``connectors`` (opening one, and calling its hooks), ``page_check`` and
``change_check`` (checking what they return), ``safe_errors`` (what may be repeated of its errors and reports),
``redaction`` (keeping secrets out of texts), ``setting_schema`` (the schema of settings: defaults, and what is wrong
with a value), ``setting_input`` (text that a person typed, as a setting), ``setup_session`` (the state of a set-up),
``default_wizard`` (of a manifest without one), ``blockers`` (why an integration may not be used).
"""

from .blockers import Blocker
from .change_check import change_access
from .connector_file import is_file_reference, load_class, load_file
from .connectors import Connector, InstalledConnector, InvalidConnectorError
from .discovery import InstalledConnectors, RefusedConnector, check_connector, find_connectors
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
    "check_connector",
    "find_connectors",
    "format_setting",
    "is_file_reference",
    "load_class",
    "load_file",
    "parse_setting",
]
