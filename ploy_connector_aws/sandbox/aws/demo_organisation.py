"""A believable company: Halden Freight, 60 people and six AWS accounts, with the flaws that real ones have.

- Jonas Vik left and is disabled, but still holds access through a group and through a direct assignment.
- Two administrators keep break-glass access of their own, outside every group.
- The groups whose names begin with `okta-` are managed by the identity provider; the others in AWS.
- Nora Lind reaches production by three paths at once.
- The management account's own IAM is in `demo_iam`. Its resources, of which a real one should have next to none:
  Jonas Vik still owns a database and a server, one bucket is in another Region, and two servers have no owner.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from .demo_iam import demo_iam
from .inventory.resources import Bucket, Cluster, Database, Function, Queue, Resources, Server, Table
from .organisation import (
    Account,
    Assignment,
    CustomerManagedPolicy,
    ExternalId,
    Group,
    Organisation,
    PermissionSet,
    Person,
)

DOMAIN = "halden-freight.example"
MANAGEMENT, SECURITY, SHARED = "418203957614", "530917264480", "602845117393"
PRODUCTION, STAGING, DATA = "716350982241", "829461073358", "934572184467"
LEAVER = "jonas.vik"
LEAVER_EMAIL = f"{LEAVER}@{DOMAIN}"
_ISSUER = "https://scim.aws.com/7f1d0c52-6b0e-4a7c-9f0a-3f2f1f6f2b11"
_FOUNDED = datetime(2024, 3, 4, 8, 30, tzinfo=UTC)

# department: title: people
_STAFF: dict[str, dict[str, str]] = {
    "Engineering": {
        "Head of Engineering": "Ingrid Solberg",
        "Staff Engineer": "Nora Lind, Mateo Alvarez",
        "Software Engineer": (
            "Amina Yusuf, Oskar Nilsen, Priya Raman, Tomasz Zielinski, Hana Sato, Liam O'Brien, "
            "Chidi Okafor, Sofia Marino, Emil Dahl, Jonas Vik, Wei Chen, Clara Hoffmann"
        ),
        "QA Engineer": "Rosa Delgado, Kwame Mensah",
    },
    "Platform": {
        "Platform Lead": "Henrik Aas",
        "Site Reliability Engineer": "Yuki Tanaka, Fatima Zahra, Daniel Kovac, Grace Njeri",
        "Database Administrator": "Viktor Petrov",
    },
    "Data": {
        "Head of Data": "Leila Haddad",
        "Data Engineer": "Anders Holm, Meera Iyer, Pablo Ortiz",
        "Data Analyst": "Julia Weber, Samir Khan, Elin Strand",
    },
    "Security": {"Security Lead": "Astrid Berg", "Security Analyst": "Omar Farouk, Zoe Martin"},
    "Finance": {
        "Chief Financial Officer": "Margaret Doyle",
        "Controller": "Lars Eriksen",
        "Accountant": "Beatriz Costa, Ivan Horvat",
    },
    "Support": {
        "Support Manager": "Aisha Bello",
        "Support Specialist": "Tim Becker, Lucia Romano, Noah Fischer, Mina Park, Ravi Patel, Eva Novak, Jan Visser",
    },
    "Operations": {
        "Chief Operating Officer": "Sven Halden",
        "Fleet Planner": "Maja Kowalska, George Adeyemi, Ida Moen, Carlos Vega, Hugo Lambert",
        "Customs Specialist": "Nadia Rahman, Peter Lang, Marta Silva",
    },
    "People": {"Head of People": "Camille Laurent", "Recruiter": "Stella Owusu", "Payroll Specialist": "Tuva Lie"},
    "Contractors": {"Contractor": "Alex Turner, Dina Aziz, Felix Braun"},
}

_ACCOUNTS = (
    Account(MANAGEMENT, "halden-management"),
    Account(SECURITY, "halden-security"),
    Account(SHARED, "halden-shared-services"),
    Account(PRODUCTION, "halden-production"),
    Account(STAGING, "halden-staging"),
    Account(DATA, "halden-data"),
)

_AWS_POLICY = "arn:aws:iam::aws:policy/"

_PERMISSION_SETS = (
    PermissionSet("AdministratorAccess", "Everything", "PT1H", (f"{_AWS_POLICY}AdministratorAccess",)),
    PermissionSet(
        "BreakGlass", "For emergencies; every use is reviewed", "PT1H", (f"{_AWS_POLICY}AdministratorAccess",)
    ),
    PermissionSet("Developer", "Build and run services", "PT8H", (f"{_AWS_POLICY}PowerUserAccess",)),
    PermissionSet("ReadOnly", "Look, do not touch", "PT8H", (f"{_AWS_POLICY}ReadOnlyAccess",)),
    PermissionSet("SecurityAudit", None, "PT4H", (f"{_AWS_POLICY}SecurityAudit", f"{_AWS_POLICY}IAMReadOnlyAccess")),
    PermissionSet("Billing", "Invoices and budgets", "PT4H", (f"{_AWS_POLICY}job-function/Billing",)),
    PermissionSet(
        "DataEngineer",
        "Pipelines and the warehouse",
        "PT8H",
        (f"{_AWS_POLICY}AWSGlueConsoleFullAccess",),
        (CustomerManagedPolicy("WarehouseWriter", "/data/"),),
    ),
    PermissionSet(
        "DatabaseOperator", "Run books on databases", "PT2H", (), (CustomerManagedPolicy("DatabaseRunbooks"),)
    ),
)

_ASSIGNMENTS = (
    Assignment(MANAGEMENT, "AdministratorAccess", "Cloud Administrators"),
    Assignment(MANAGEMENT, "Billing", "Finance"),
    Assignment(SECURITY, "AdministratorAccess", "Security"),
    *(Assignment(account.id, "SecurityAudit", "Security") for account in _ACCOUNTS),
    Assignment(SHARED, "AdministratorAccess", "Platform"),
    Assignment(PRODUCTION, "AdministratorAccess", "Production On-Call"),
    Assignment(PRODUCTION, "ReadOnly", "Engineering"),
    Assignment(PRODUCTION, "ReadOnly", "okta-aws-support"),
    Assignment(PRODUCTION, "DatabaseOperator", "Database Operators"),
    Assignment(STAGING, "AdministratorAccess", "Platform"),
    Assignment(STAGING, "Developer", "okta-aws-developers"),
    Assignment(STAGING, "ReadOnly", "Contractors"),
    Assignment(DATA, "DataEngineer", "okta-aws-data"),
    Assignment(DATA, "ReadOnly", "Data"),
    Assignment(DATA, "Billing", "Finance"),
    Assignment(MANAGEMENT, "BreakGlass", "henrik.aas", to_group=False),
    Assignment(PRODUCTION, "BreakGlass", "henrik.aas", to_group=False),
    Assignment(MANAGEMENT, "BreakGlass", "astrid.berg", to_group=False),
    Assignment(PRODUCTION, "BreakGlass", "astrid.berg", to_group=False),
    Assignment(PRODUCTION, "Developer", "nora.lind", to_group=False),
    Assignment(DATA, "ReadOnly", LEAVER, to_group=False),
)

DEMO_RESOURCES = Resources(
    buckets=(
        Bucket("halden-freight-invoices"),
        Bucket("halden-freight-cloudtrail"),
        Bucket("halden-freight-customs-exports", "us-east-1"),
        Bucket("halden-freight-terraform-state"),
    ),
    tables=(Table("shipments"), Table("shipment-events"), Table("terraform-locks")),
    queues=(Queue("shipment-events"), Queue("shipment-events-dead"), Queue("invoices.fifo")),
    functions=(
        Function(
            "invoice-renderer",
            "invoice-renderer",
            environment={"SMTP_PASSWORD": "never shown: dropped where it is read"},
        ),
        Function("customs-export", "customs-export", "nodejs24.x"),
        Function("label-scanner", "label-scanner", None),
    ),
    databases=(
        Database("billing", tags={"owner": f"margaret.doyle@{DOMAIN}", "env": "production"}),
        Database("billing-copy-2024", "postgres", "13.16", tags={"owner": LEAVER_EMAIL}),
        Database("routes-1", "neptune", "1.4.5.1", "routes", {"team": "data"}),
        Database("manifests-1", "docdb", "5.0.0", "manifests", {"team": "engineering"}),
    ),
    servers=(
        Server("bastion", type="t4g.small", profile="bastion", tags={"Name": "bastion", "owner": "platform"}),
        Server("build-1", type="m7g.xlarge", profile="build-agent", tags={"Name": "build-1", "Owner": LEAVER_EMAIL}),
        Server("legacy", "stopped", "m4.large", "legacy-admin", {"Name": "legacy-edi-gateway"}),
        Server("untitled", launched_at=datetime(2025, 11, 3, 9, tzinfo=UTC)),
        Server("old-build", "terminated", tags={"Name": "build-0"}),
    ),
    clusters=(Cluster("tracking", {"team": "engineering"}), Cluster("batch"), Cluster("trial-2023", status="INACTIVE")),
)
"""In the account and Region that the demo reads."""


def demo_organisation(owner_account_id: str = MANAGEMENT, primary_region: str = "eu-west-1") -> Organisation:
    """The company, the same every time; another owner takes the place of its management account."""

    def in_account(account_id: str) -> str:
        return owner_account_id if account_id == MANAGEMENT else account_id

    return Organisation(
        owner_account_id=owner_account_id,
        primary_region=primary_region,
        people=tuple(_people()),
        groups=tuple(_groups()),
        permission_sets=_PERMISSION_SETS,
        accounts=tuple(replace(account, id=in_account(account.id)) for account in _ACCOUNTS),
        assignments=tuple(replace(row, account_id=in_account(row.account_id)) for row in _ASSIGNMENTS),
        iam=demo_iam(primary_region),
        instance_name="halden-freight",
        resources=DEMO_RESOURCES,
    )


def _user_name(name: str) -> str:
    return name.lower().replace(" ", ".").replace("'", "")


def _names(*departments: str) -> list[str]:
    """The user names of whole departments."""
    lists = (names for department in departments for names in _STAFF[department].values())
    return [_user_name(name) for names in lists for name in names.split(", ")]


def _people() -> list[Person]:
    people: list[Person] = []
    for department, titles in _STAFF.items():
        for title, names in titles.items():
            for name in names.split(", "):
                number = len(people) + 1
                given, family = name.split(" ", 1)
                user_name = _user_name(name)
                # Contractors were created in the console; all others come from the identity provider.
                is_external = department == "Contractors"
                people.append(
                    Person(
                        user_name=user_name,
                        given_name=given,
                        family_name=family,
                        email=f"{user_name}@{DOMAIN}",
                        title=title,
                        status="DISABLED" if user_name == LEAVER else "ENABLED",
                        external_ids=() if is_external else (ExternalId(_ISSUER, f"00u{number:08d}"),),
                        created_at=_FOUNDED + timedelta(days=7 * number),
                        birthdate=f"{1970 + number % 30}-{1 + number % 12:02d}-15",
                        phone=f"+47 555 {number:04d}",
                    )
                )
    return people


def _groups() -> list[Group]:
    everyone = _names(*_STAFF)
    in_aws: dict[str, tuple[str, list[str]]] = {
        "Everyone": ("All staff", everyone),
        "Cloud Administrators": ("Own the management account", ["henrik.aas", "ingrid.solberg", "yuki.tanaka"]),
        "Production On-Call": (
            "The rota that may repair production",
            ["nora.lind", "mateo.alvarez", "yuki.tanaka", "fatima.zahra", "daniel.kovac", "grace.njeri", LEAVER],
        ),
        "Database Operators": ("Run books on databases", ["viktor.petrov", "nora.lind", "anders.holm"]),
        "Former Projects": ("Kept for reference", []),
    }
    in_aws |= {
        department: (f"The department {department}", _names(department))
        for department in ("Engineering", "Platform", "Data", "Security", "Finance", "Contractors")
    }
    at_provider = {
        "okta-aws-developers": [*_names("Engineering"), "alex.turner"],
        "okta-aws-data": [*_names("Data"), "viktor.petrov"],
        "okta-aws-support": [*_names("Support"), "rosa.delgado"],
    }
    groups = [Group(name, description, tuple(members)) for name, (description, members) in in_aws.items()]
    groups += [
        Group(name, None, tuple(members), (ExternalId(_ISSUER, f"00g{number:08d}"),))
        for number, (name, members) in enumerate(at_provider.items(), start=1)
    ]
    return groups
