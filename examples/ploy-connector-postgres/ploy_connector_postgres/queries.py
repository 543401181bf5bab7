"""The queries. All read the catalogs ``pg_*``, which every role may read in whole.

The views of ``information_schema`` leave out, without an error, what concerns other roles than one's own.
"""

from psycopg import sql

NAMES = "SELECT oid::text, rolname FROM pg_roles WHERE oid = ANY(%s::oid[])"

GRANTORS = """
SELECT g.rolname FROM pg_auth_members m LEFT JOIN pg_roles g ON g.oid = m.grantor
WHERE m.roleid = %s::oid AND m.member = %s::oid
"""

ACCOUNTS = """
SELECT oid::text, rolname, rolsuper, rolcreaterole, rolreplication, rolbypassrls, rolvaliduntil::text
FROM pg_roles WHERE rolcanlogin ORDER BY pg_roles.oid
"""

# Whether this connector can grant a role: a superuser can, a role with ADMIN OPTION and, before PostgreSQL 16, one with
# CREATEROLE. Only a superuser can grant the role of a superuser.
ROLES = """
SELECT r.oid::text, r.rolname, r.rolsuper, r.rolcreaterole, r.rolreplication, r.rolbypassrls,
    me.rolsuper OR NOT r.rolsuper AND (
        pg_has_role(me.oid, r.oid, 'MEMBER WITH ADMIN OPTION')
        OR me.rolcreaterole AND current_setting('server_version_num')::int < 160000
    )
FROM pg_roles r, pg_roles me
WHERE me.rolname = current_user
    AND (NOT r.rolcanlogin OR EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid))
UNION ALL SELECT '0', 'PUBLIC', false, false, false, false, false
"""

# What each role is: a role that can log in and has members is both.
HOLDERS = """
WITH holder AS (
    SELECT oid, 'account' AS kind FROM pg_roles WHERE rolcanlogin
    UNION ALL SELECT oid, 'entitlement' FROM pg_roles r
        WHERE NOT rolcanlogin OR EXISTS (SELECT FROM pg_auth_members m WHERE m.roleid = r.oid)
    UNION ALL SELECT 0, 'entitlement'
)
"""

# From PostgreSQL 16 on several roles may have granted one membership, each with its own options; before, the options
# INHERIT and SET do not exist.
MEMBERS = (
    HOLDERS
    + """
SELECT h.kind, h.oid::text, m.roleid::text,
    bool_or(m.admin_option) AS admin,
    bool_or(coalesce((to_jsonb(m) ->> 'inherit_option')::bool, r.rolinherit)) AS inherit,
    bool_or(coalesce((to_jsonb(m) ->> 'set_option')::bool, true)) AS set,
    array_agg(m.grantor::text ORDER BY m.grantor) AS grantors
FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN holder h ON h.oid = m.member
GROUP BY h.kind, h.oid, m.roleid
UNION ALL SELECT 'account', oid::text, '0', false, true, false, '{}' FROM pg_roles WHERE rolcanlogin
"""
)

# A privilege that was never granted or revoked has no ACL, and acldefault() returns what applies then.
PRIVILEGES = (
    HOLDERS
    + """
, here AS (SELECT oid FROM pg_database WHERE datname = current_database()),
object AS (
    SELECT 'database' AS kind, 'database/' || oid AS id, NULL AS parent, datname::text AS name, datdba AS owner,
        coalesce(datacl, acldefault('d', datdba)) AS acl
    FROM pg_database
    UNION ALL
    SELECT 'schema', concat_ws('/', 'schema', here.oid, n.oid), 'database/' || here.oid, nspname, nspowner,
        coalesce(nspacl, acldefault('n', nspowner))
    FROM pg_namespace n, here WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
    UNION ALL
    SELECT 'table', concat_ws('/', 'table', here.oid, c.oid), concat_ws('/', 'schema', here.oid, n.oid),
        nspname || '.' || relname, relowner, coalesce(relacl, acldefault('r', relowner))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace, here
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
),
privilege AS (
    SELECT id, grantee, privilege_type AS type, bool_or(is_grantable) AS is_grantable
    FROM object, aclexplode(acl) GROUP BY id, grantee, privilege_type
    UNION ALL SELECT id, owner, 'OWNER', true FROM object
)
SELECT o.kind, id, o.parent, o.name, p.type, coalesce(h.kind, 'entitlement'), p.grantee::text, p.is_grantable
FROM object o JOIN privilege p USING (id) LEFT JOIN holder h ON h.oid = p.grantee
ORDER BY o.kind, id, p.type
"""
)

IS_TABLE = "SELECT relkind IN ('r', 'p') FROM pg_class WHERE oid = to_regclass(%s)"


def people_of(table: str) -> sql.Composed:
    """Return the query for a table of people, e.g. ``hr.people``."""
    columns = sql.SQL("SELECT id::text, username, display_name, email, is_active FROM {} ORDER BY id")
    return columns.format(sql.Identifier(*table.split(".")))
