"""The manifest: settings, permissions, labels and the wizard."""

from ploy_connector_aws.spec import (
    SPEC_VERSION,
    Document,
    Feature,
    Label,
    Manifest,
    Permission,
    Step,
    Wizard,
    WizardField,
)

READ_CATALOGS = "SELECT on pg_catalog"
READ_ALL_ROWS = "BYPASSRLS"
ADMIN_OPTION = "ADMIN OPTION"

SCHEMA = {
    "properties": {
        "connection": {
            "type": "string",
            "title": "Connection",
            "description": "Without the password, e.g. host=db.example dbname=app user=ploy sslmode=verify-full",
            "minLength": 1,
        },
        "password": {"type": "string", "title": "Password", "writeOnly": True, "minLength": 8},
        "people_table": {
            "type": "string",
            "title": "Table of people",
            "description": "A table of this database with id, username, display_name, email and is_active.",
            "pattern": "^[a-z_][a-z0-9_]*[.][a-z_][a-z0-9_]*$",
            "x-ploy-error-message": "must be a schema and a table, as in hr.people",
        },
    },
    "required": ["connection"],
    "additionalProperties": False,
}

ROLE = """\
CREATE ROLE ploy LOGIN PASSWORD '...';
{{ if people }}
GRANT USAGE ON SCHEMA hr TO ploy;
GRANT SELECT ON hr.people TO ploy;
ALTER ROLE ploy BYPASSRLS;
{{ end }}
{{ if changes }}
GRANT app_role TO ploy WITH ADMIN OPTION;
{{ end }}
"""

MANIFEST = Manifest(
    name="postgres",
    title="PostgreSQL",
    version="0.1.0",
    spec_version=SPEC_VERSION,
    description="The roles of a PostgreSQL cluster, their members, and their privileges in one database.",
    config_schema=SCHEMA,
    features=(
        Feature(name="roles", title="Roles, members and privileges"),
        Feature(name="people", title="People of an application", is_default=False),
        Feature(name="changes", title="Grants and revokes of roles"),
    ),
    permissions=(
        Permission(
            name=READ_CATALOGS,
            features=("roles",),
            is_required=True,
            used_for="Reading roles, members and privileges. Every role has it by default.",
            without="Nothing can be read.",
        ),
        Permission(
            name=READ_ALL_ROWS,
            features=("people",),
            is_required=False,
            used_for="Reading the table of people in whole, where it has row security.",
            without="The table is not read: row security would leave people out without an error.",
        ),
        Permission(
            name=ADMIN_OPTION,
            features=("changes",),
            is_required=False,
            used_for="Granting and revoking a role.",
            without="The role is shown, and cannot be granted.",
        ),
    ),
    labels=(
        Label(record_type="account", kind="unknown", singular="login role", plural="login roles"),
        Label(record_type="entitlement", kind="policy", singular="privilege", plural="privileges"),
        Label(record_type="resource", kind="database", singular="database", plural="databases", is_place=True),
        Label(record_type="resource", kind="schema", singular="schema", plural="schemas"),
        Label(record_type="resource", kind="table", singular="table or view", plural="tables and views"),
    ),
    wizard=Wizard(
        steps=(
            Step(
                id="role",
                title="Make a role for Ploy",
                text=("Every role can read the catalogs, so a role without privileges is enough to read.",),
                asks_features=True,
                explains_permissions=True,
                documents=(
                    Document(id="sql", title="As a superuser", language="text", file_name="ploy.sql", template=ROLE),
                ),
            ),
            Step(
                id="connection",
                title="Connect",
                text=("Ploy connects to one database, and reads the roles of the whole cluster.",),
                fields=tuple(WizardField(name=name) for name in SCHEMA["properties"]),
                tests_connection=True,
            ),
        )
    ),
)
