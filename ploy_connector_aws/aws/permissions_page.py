"""Renders docs/permissions.md, which explains every permission, from the list of actions.

``python -m ploy_connector_aws.aws.permissions_page > docs/permissions.md`` regenerates it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .permissions import (
    ACTIONS,
    BY_PERMISSION_SET,
    DIRECT_ASSIGNMENTS,
    EXPLANATIONS,
    KMS_DECRYPT,
    OPTIONAL,
    render_statement,
)

_INTRODUCTION = """\
<!-- Generated: python -m ploy_connector_aws.aws.permissions_page; a test compares it with the code. -->
# Permissions

Every action of the policy in Ploy's guide, what it is used for, and what is missing without it. The connector makes no
other calls: each of its clients blocks them before anything is sent. A sync uses a session whose policy allows reads
only, so it cannot write, whatever the role may do. A grant or revoke uses a session of its own, whose policy names the
one person and the one group.

Without an action everything else still works. Records that need it are kept as last read and marked as unproven, and
the sync names the missing action with the statement to add.

| Action | Kind | Used for | Without it |
|---|---|---|---|
"""

_OPTIONAL = f"""
`{KMS_DECRYPT}` is not part of the guide's policy. This statement allows it where it is needed; the key's own policy
must allow the role, too:

```json
{render_statement([KMS_DECRYPT])}
```

These two reads are not part of it either. In an organization with many people and few permission sets they save most
calls of a sync ([how the connector decides](aws-facts.md)). The connector uses them as soon as the role has them:

```json
{render_statement(action.iam for action in BY_PERMISSION_SET)}
```

The actions that change account assignments are not part of it either. This statement allows them where the settings
switch on direct assignments:

```json
{render_statement(action.iam for action in DIRECT_ASSIGNMENTS)}
```
"""


def render_page() -> str:
    """Render the page as Markdown."""
    return "".join((_INTRODUCTION, *_rows(), _OPTIONAL))


def _rows() -> Iterator[str]:
    kinds = [(action.iam, action.access) for action in ACTIONS]
    optional = [(name, "optional") for name in (KMS_DECRYPT, *(action.iam for action in OPTIONAL))]
    for name, kind in (*kinds, *optional):
        explained = EXPLANATIONS[name]
        yield f"| `{name}` | {kind} | {explained.used_for} | {explained.impact_if_missing} |\n"


if __name__ == "__main__":
    sys.stdout.write(render_page())
