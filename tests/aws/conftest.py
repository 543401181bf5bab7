"""A customer of a local AWS, and the connector that reads it over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
import pytest

from ploy_connector_aws.aws.permissions import READS
from ploy_connector_aws.config import IDENTITY_CENTER
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.runtime.snapshot.store import Store
from ploy_connector_aws.sandbox.aws import (
    Account,
    Assignment,
    CustomerManagedPolicy,
    ExternalId,
    Group,
    Organisation,
    PermissionSet,
    Person,
    SandboxAws,
    SeededOrganisation,
    fresh_account_id,
)
from ploy_connector_aws.sandbox.aws.calls import Call
from ploy_connector_aws.sandbox.aws.demo_organisation import LEAVER, demo_organisation
from ploy_connector_aws.sandbox.aws.faults import Where
from ploy_connector_aws.sandbox.environment import is_redirecting
from ploy_connector_aws.spec import ConnectorContext, Page
from tests.aws.host import Host
from tests.aws.snapshot import Snapshot, to_snapshot
from tests.aws_calls import AROUND_THE_GUARD

EXTERNAL_ID = "5f0c2a1e-7d7e-4a43-9a44-0c6b8a0de511"
REGION = "eu-central-1"
SEED_POLICY = json.loads((Path(__file__).parent.parent / "data" / "aws-policy.json").read_text())
SCIM = "https://scim.aws.com/1234"
DEV, PROD = "111111111111", "222222222222"

ORGANISATION = Organisation(
    owner_account_id="",
    people=(
        Person("ana", display_name="Ana Lima", email="ana@example.com", title="Engineer", birthdate="1990-02-03"),
        Person("bo", display_name="Bo Berg", email="bo@example.com", status="DISABLED", phone="+46 555"),
        Person(None, "Cy", "Crane", status=None, created_at=None),
        Person("dee", email="dee@example.com", external_ids=(ExternalId(SCIM, "idp-4"),), address="1 Road"),
    ),
    groups=(
        Group("admins", "Those who may", members=("ana", "bo")),
        Group("everyone", members=("ana", "Cy Crane", "dee"), external_ids=(ExternalId(SCIM, "idp-9"),)),
        Group("empty"),
    ),
    permission_sets=(
        PermissionSet(
            "Administrator",
            "Everything",
            session_duration="PT4H",
            managed_policies=("arn:aws:iam::aws:policy/AdministratorAccess",),
        ),
        PermissionSet("Reader", customer_managed_policies=(CustomerManagedPolicy("reading", "/teams/"),)),
    ),
    accounts=(Account(DEV, "dev"), Account(PROD, "prod")),
    assignments=(
        Assignment(PROD, "Administrator", "admins"),
        Assignment(DEV, "Reader", "everyone"),
        Assignment(PROD, "Reader", "dee", to_group=False),
    ),
)


@dataclass
class Customer:
    """An AWS account with an organisation and a role for Ploy, and the settings of its integration."""

    aws: SandboxAws
    seeded: SeededOrganisation
    settings: dict[str, Any]
    context: ConnectorContext = field(default_factory=ConnectorContext, kw_only=True)

    def connector(self, **settings: Any) -> AwsConnector:
        connector = AwsConnector()
        connector.configure({**self.settings, **settings}, self.context)
        return connector

    def read_pages(self, skip: Set[str] = frozenset(), **settings: Any) -> Iterator[Page]:
        """Read everything but what is to be skipped, as a host does."""
        connector = self.connector(**settings)
        yield from connector.list_accounts(skip)
        yield from connector.list_entitlements(skip)

    def read(self, skip: Set[str] = frozenset(), **settings: Any) -> Snapshot:
        return to_snapshot(self.read_pages(skip, **settings))

    def settle(self, organisation: Organisation) -> Customer:
        """Put another organisation into the same AWS account."""
        self.seeded.remove_instance()
        self.seeded = self.aws.seed(replace(organisation, owner_account_id=self.settings["account_id"]))
        return self


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxAws]:
    """A local AWS that the environment leads to; afterwards, what was called must be listed and only read."""
    with SandboxAws() as running:
        set_environment(monkeypatch, running)
        yield running
        listed = {(action.client, action.operation) for action in READS} | {("sts", "AssumeRole")}
        assert {(call.service, call.operation) for call in running.calls} <= listed


@pytest.fixture
def customer(aws: SandboxAws) -> Customer:
    return make_customer(aws)


KEPT_PEOPLE = ("henrik.aas", "nora.lind", "viktor.petrov", LEAVER, "alex.turner")
KEPT_GROUPS = ("Cloud Administrators", "Production On-Call", "Contractors", "okta-aws-data")


def small_demo_organisation() -> Organisation:
    """The demo organisation with its IAM and its resources, but few people and groups: a sync costs a third."""
    demo = demo_organisation()
    return replace(
        demo,
        people=tuple(person for person in demo.people if person.user_name in KEPT_PEOPLE),
        groups=tuple(
            replace(group, members=tuple(member for member in group.members if member in KEPT_PEOPLE))
            for group in demo.groups
            if group.name in KEPT_GROUPS
        ),
        assignments=tuple(row for row in demo.assignments if row.principal in (*KEPT_PEOPLE, *KEPT_GROUPS)),
    )


@pytest.fixture
def host(aws: SandboxAws, tmp_path: Path) -> Iterator[Host]:
    """A host of the small demo organisation."""
    organisation = small_demo_organisation()
    customer = make_customer(aws, organisation)
    customer.settings |= {"region": organisation.primary_region}
    del customer.settings["scopes"]
    with Store(tmp_path / "state" / "one.sqlite") as store:
        yield Host(customer, store)


def make_customer(
    aws: SandboxAws,
    organisation: Organisation = ORGANISATION,
    scopes: Sequence[str] = (IDENTITY_CENTER,),
    policy: Mapping[str, Any] = SEED_POLICY,
) -> Customer:
    account_id = fresh_account_id()
    seeded = aws.seed(replace(organisation, owner_account_id=account_id))
    role_arn = aws.create_integration_role(account_id, EXTERNAL_ID, policy=policy)
    settings = {
        "account_id": account_id,
        "region": REGION,
        "role_arn": role_arn,
        "external_id": EXTERNAL_ID,
        "scopes": list(scopes),
    }
    return Customer(aws, seeded, settings)


def with_account_names(host: Host) -> Host:
    """Let a host read the names of AWS accounts, by its settings and by the role's policy."""
    settings = host.customer.settings
    settings["read_account_names"] = True
    names = {"Effect": "Allow", "Action": "organizations:ListAccounts", "Resource": "*"}
    policy = {**SEED_POLICY, "Statement": [*SEED_POLICY["Statement"], names]}
    host.customer.aws.accounts.set_role_policy(settings["role_arn"], policy)
    return host


def of_session(prefix: str) -> Where:
    """Select the requests for the role under a session name that begins so."""
    return lambda asked: str(asked.parameters.get("RoleSessionName")).startswith(prefix)


def is_proof(call: Call) -> bool:
    """Whether it assumes the role only to prove that no other caller can; all but the first must be denied."""
    return str(call.parameters.get("RoleSessionName")).startswith(("ploy-prove-", "ploy-refuse-"))


def open_unguarded(aws: SandboxAws, service: str, policy: str) -> Any:
    """Return a client without our guard, in a session of the role that was assumed last, with this session policy."""
    role_arn = list(aws.calls.to("AssumeRole"))[-1].parameters["RoleArn"]
    with closing(boto3.client("sts", region_name=REGION)) as sts:
        issued = sts.assume_role(
            RoleArn=role_arn,
            RoleSessionName=f"ploy-{AROUND_THE_GUARD}-{'0' * 12}",
            ExternalId=EXTERNAL_ID,
            Policy=policy,
        )["Credentials"]
    return boto3.client(
        service,
        region_name=ORGANISATION.primary_region,
        aws_access_key_id=issued["AccessKeyId"],
        aws_secret_access_key=issued["SecretAccessKey"],
        aws_session_token=issued["SessionToken"],
    )


def entries(aws: SandboxAws) -> list[Call]:
    """The requests for the role that were made to use it."""
    return [call for call in aws.calls.to("AssumeRole") if not is_proof(call)]


def set_environment(monkeypatch: pytest.MonkeyPatch, aws: SandboxAws, **more: str) -> None:
    """Give the process an operator's environment that leads to the local AWS and nowhere else."""
    for name in [name for name in os.environ if is_redirecting(name)]:
        monkeypatch.delenv(name)
    for name, value in environment_of(aws, **more).items():
        monkeypatch.setenv(name, value)


def environment_of(aws: SandboxAws, **more: str) -> dict[str, str]:
    """Return the variables that lead to a local AWS."""
    return {
        "AWS_ENDPOINT_URL": aws.endpoint_url,
        "AWS_ACCESS_KEY_ID": aws.caller_credentials.access_key_id,
        "AWS_SECRET_ACCESS_KEY": aws.caller_credentials.secret_access_key,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PLOY_AWS_RATE_FACTOR": "1000",
        **more,
    }
