"""The page that explains every permission, made from the one list of actions.

``python -m ploy_connector_aws.aws.permissions_page > docs/permissions.md`` writes it anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .permissions import ACTIONS, DIRECT_ASSIGNMENTS, EXPLANATIONS, KMS_DECRYPT, render_statement

_INTRODUCTION = """\
<!-- Generated: python -m ploy_connector_aws.aws.permissions_page; a test compares it with the code. -->
# Permissions

Every action of the policy that Ploy's guide hands out, what it is used for, and what is missing without it. Nothing
outside of this list is ever called: each client of the connector refuses it before anything is sent. Everything is read
in a session whose own policy holds the reads only, so a sync cannot write whatever the role may do. A grant or revoke
is written in a session of its own, whose policy names the one person and the one group.

Without an action the rest still works. What it would have shown is kept as it was last read, marked as unproven, and
the sync names the missing action with the statement to add.

| Action | Kind | Used for | Without it |
|---|---|---|---|
"""

_OPTIONAL = f"""
`{KMS_DECRYPT}` is not part of the guide's policy. Where it is needed, this statement allows it, and the key's own
policy must let the role in, too:

```json
{render_statement([KMS_DECRYPT])}
```

The actions on account assignments are not part of it either. Where the settings switch direct assignments on, this
statement allows them:

```json
{render_statement(action.iam for action in DIRECT_ASSIGNMENTS)}
```
"""


def render_page() -> str:
    """Render the page as Markdown."""
    return "".join((_INTRODUCTION, *_rows(), _OPTIONAL))


def _rows() -> Iterator[str]:
    kinds = [(action.iam, action.access) for action in ACTIONS]
    optional = [(name, "optional") for name in (KMS_DECRYPT, *(action.iam for action in DIRECT_ASSIGNMENTS))]
    for name, kind in (*kinds, *optional):
        explained = EXPLANATIONS[name]
        yield f"| `{name}` | {kind} | {explained.used_for} | {explained.without} |\n"


if __name__ == "__main__":
    sys.stdout.write(render_page())
