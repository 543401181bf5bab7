"""Fixtures: a customer's role that a test breaks in one place, checks, and repairs by the fix that was printed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from ploy_connector_aws.aws.connection_test import run_connection_test
from ploy_connector_aws.aws.connection_test.evaluation import render_needed_policy
from ploy_connector_aws.aws.connection_test.trust_policy_check import EXTERNAL_ID_PLACEHOLDER
from ploy_connector_aws.config import AwsConfig
from ploy_connector_aws.sandbox.aws import (
    PLOY_ACCOUNT_ID,
    CustomerKey,
    Organisation,
    SandboxAws,
    SeededOrganisation,
    fresh_account_id,
    ploy_trust_policy,
)
from ploy_connector_aws.sandbox.aws.accounts import INLINE_POLICY_NAME, make_aws_policy_known
from ploy_connector_aws.sandbox.aws.principals import iam
from ploy_connector_aws.spec import Check, ConnectionReport, ConnectorContext, Progress, ignore_progress
from tests.aws.conftest import EXTERNAL_ID, ORGANISATION, set_environment
from tests.aws_calls import ALLOWED

MANAGEMENT = "333333333333"
KEY_ARN = "arn:aws:kms:eu-west-1:333333333333:key/0b1d2c3e"
EMPTY_GROUP = ORGANISATION.groups[-1].name
EVERY_SCOPE = ("identity-center", "iam", "resources")

Document = dict[str, Any]


@dataclass
class BrokenRole:
    """An AWS account with a role for Ploy that has exactly what its settings need, until a test breaks it."""

    aws: SandboxAws
    monkeypatch: pytest.MonkeyPatch
    scopes: tuple[str, ...] = ("identity-center", "iam")
    organisation: Organisation = ORGANISATION
    region: str = "eu-west-1"
    account_id: str = field(default_factory=fresh_account_id)
    more: dict[str, Any] = field(default_factory=dict)
    role_arn: str = ""
    context: ConnectorContext = field(default_factory=ConnectorContext)

    def __post_init__(self) -> None:
        owner = self.organisation.owner_account_id or self.account_id
        self.seeded: SeededOrganisation = self.aws.seed(replace(self.organisation, owner_account_id=owner))
        self.aws.accounts.add(self.account_id)
        self.role_arn = f"arn:aws:iam::{self.account_id}:role/Ploy"
        self.make_role()

    def make_role(self, **options: Any) -> None:
        """Create the role as the guide describes it."""
        self.aws.create_integration_role(self.account_id, EXTERNAL_ID, policy=self.needed_policy(), **options)

    def remake_role(self, **options: Any) -> None:
        """Create the role again, with a boundary or with managed policies."""
        self.aws.accounts.delete_role(self.role_arn)
        self.make_role(**options)

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "account_id": self.account_id,
            "region": self.region,
            "role_arn": self.role_arn,
            "external_id": EXTERNAL_ID,
            "scopes": list(self.scopes),
            **self.more,
        }

    @property
    def config(self) -> AwsConfig:
        return AwsConfig.from_settings(self.settings)

    def needed_policy(self) -> Document:
        document: Document = json.loads(render_needed_policy(self.config, with_key=False))
        return document

    def run_test(self, progress: Progress = ignore_progress) -> ConnectionReport:
        return run_connection_test(self.config, pauses=(), progress=progress, context=self.context)

    def trust(self, *statements: Mapping[str, Any]) -> None:
        self.aws.accounts.set_trust_policy(self.role_arn, {"Version": "2012-10-17", "Statement": list(statements)})

    def trust_under(self, condition: Mapping[str, Any] | None, principal: Any = None) -> None:
        """Trust Ploy, or the principal, under this condition on the external ID."""
        statement = {
            "Effect": "Allow",
            "Principal": principal or {"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:root"},
            "Action": "sts:AssumeRole",
            **({"Condition": condition} if condition else {}),
        }
        self.trust(statement)

    def restore_trust(self) -> None:
        self.aws.accounts.set_trust_policy(self.role_arn, ploy_trust_policy(EXTERNAL_ID))

    @property
    def policy(self) -> Document:
        """The role's inline policy as it is now."""
        document: Document = json.loads(self.aws.accounts.role(self.role_arn).policies[INLINE_POLICY_NAME])
        return document

    def set_policy(self, *statements: Mapping[str, Any]) -> None:
        self.aws.accounts.set_role_policy(self.role_arn, {"Version": "2012-10-17", "Statement": list(statements)})

    def add_statement(self, statement: Mapping[str, Any]) -> None:
        self.set_policy(*self.policy["Statement"], statement)

    def remove_actions(self, *actions: str) -> None:
        """Remove actions from the statements that allow or deny them."""
        statements = [
            {**each, "Action": [action for action in each["Action"] if action not in actions]}
            for each in self.policy["Statement"]
        ]
        self.set_policy(*(each for each in statements if each["Action"]))

    def set_boundary(self, *statements: Mapping[str, Any]) -> None:
        """Give the role a permissions boundary of the name Boundary."""
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        arn = self.aws.accounts.create_managed_policy(self.account_id, "Boundary", document)
        self.aws.accounts.role(self.role_arn).permissions_boundary_arn = arn

    def attach(self, name: str) -> None:
        arn = f"arn:aws:iam::aws:policy/{name}"
        make_aws_policy_known(self.account_id, arn)
        iam(self.account_id).attach_role_policy(arn, "Ploy")

    def encrypt(self, *, key_policy_allows: bool = True) -> None:
        self.seeded.encrypt_with(CustomerKey(KEY_ARN, key_policy_allows))

    def apply(self, check: Check) -> None:
        """Apply the fix as a person would who copies it: every kind of fix that can be copied."""
        assert check.fix is not None, check
        assert EXTERNAL_ID not in f"{check.message}{check.fix}"
        steps = [(pattern, apply) for pattern, apply in _FIXES.items() if re.search(pattern, check.fix)]
        assert steps, f"This fix cannot be followed: {check.fix}"
        for pattern, apply in steps:
            for found in re.finditer(pattern, check.fix):
                apply(self, found, check.fix[found.end() :])

    def _boundary_version(self) -> Any:
        arn = f"arn:aws:iam::{self.account_id}:policy/Boundary"
        return next(each for each in iam(self.account_id).managed_policies[arn].versions if each.is_default)

    def _replace_trust(self, _: re.Match[str], rest: str) -> None:
        document = json.dumps(_first_document(rest)).replace(EXTERNAL_ID_PLACEHOLDER, EXTERNAL_ID)
        self.aws.accounts.set_trust_policy(self.role_arn, json.loads(document))

    def _replace_policies(self, _: re.Match[str], rest: str) -> None:
        role = self.aws.accounts.role(self.role_arn)
        role.managed_policies.clear()
        role.policies.clear()
        self.set_policy(*_first_document(rest)["Statement"])

    def _add_to_policy(self, _: re.Match[str], rest: str) -> None:
        self.add_statement(_first_document(rest))

    def _add_to_boundary(self, found: re.Match[str], rest: str) -> None:
        assert found[1] == "Boundary"
        version = self._boundary_version()
        document = json.loads(version.document)
        version.document = json.dumps({**document, "Statement": [*document["Statement"], _first_document(rest)]})

    def _remove_from_deny(self, found: re.Match[str], _: str) -> None:
        named = found[1].split(", ")

        def remove(statement: Document) -> Document:
            return {**statement, "Action": [action for action in statement["Action"] if action not in named]}

        self._change_denies(found[2], remove)

    def _add_to_not_action(self, found: re.Match[str], _: str) -> None:
        def add(statement: Document) -> Document:
            return {**statement, "NotAction": [*statement["NotAction"], found[1]]}

        self._change_denies(found[2], add)

    def _change_denies(self, where: str, change: Callable[[Document], Document]) -> None:
        """Change all Deny statements of a policy, as there is never more than one."""
        of = {f"the role's policy {INLINE_POLICY_NAME}": self.policy}
        version = self._boundary_version() if where == "the permissions boundary Boundary" else None
        document = json.loads(version.document) if version else of[where]
        changed = [change(each) if each["Effect"] == "Deny" else each for each in document["Statement"]]
        statements = [each for each in changed if each.get("Action") or each.get("NotAction")]
        if version:
            version.document = json.dumps({**document, "Statement": statements})
        else:
            self.set_policy(*statements)

    def _detach(self, found: re.Match[str], _: str) -> None:
        managed = self.aws.accounts.role(self.role_arn).managed_policies
        managed.pop(next(arn for arn in managed if arn.endswith(f"/{found[1]}")))

    def _replace_boundary(self, _: re.Match[str], rest: str) -> None:
        self.set_boundary(*_first_document(rest)["Statement"])

    def _allow_in_key_policy(self, _: re.Match[str], rest: str) -> None:
        statement = _first_document(rest)
        assert (statement["Principal"], statement["Action"]) == ({"AWS": self.role_arn}, "kms:Decrypt")
        self.encrypt(key_policy_allows=True)

    def _leave_out(self, found: re.Match[str], _: str) -> None:
        named = found[1].split(" and ")
        self.scopes = tuple(
            scope
            for scope in self.config.scopes
            if not any(scope == each or scope.startswith(f"{each}/") for each in named)
        )
        self.set_policy(*self.needed_policy()["Statement"])

    def _enable_region(self, found: re.Match[str], _: str) -> None:
        assert found[1] == self.region
        self.aws.accounts.disable_regions(self.account_id)


_FIXES = {
    r"Replace the role's trust policy by this one: ": BrokenRole._replace_trust,
    r"Reduce the policies of the role .*? Nothing beyond this policy is needed: ": BrokenRole._replace_policies,
    r"(?:Add|add) this statement to the role's policy: ": BrokenRole._add_to_policy,
    r"Add this statement to the permissions boundary (\S+): ": BrokenRole._add_to_boundary,
    r"Remove (.+?) from the Deny statement of (.+?)(?:;|, and)": BrokenRole._remove_from_deny,
    r"Add (\S+) to NotAction in the Deny statement of (.+?),": BrokenRole._add_to_not_action,
    r"Detach the policy (\S+) from the role:": BrokenRole._detach,
    r"Replace the permissions boundary .*? with your own customer managed policy: ": BrokenRole._replace_boundary,
    r"Add this statement to the policy of the key: ": BrokenRole._allow_in_key_policy,
    r"leave (\S+(?: and \S+)?) out of the setting 'scopes'": BrokenRole._leave_out,
    r"Enable (\S+) for the AWS account": BrokenRole._enable_region,
}


def _first_document(text: str) -> Document:
    document: Document = json.JSONDecoder().raw_decode(text)[0]
    return document


def issues(report: ConnectionReport) -> dict[str, str]:
    """The checks that failed or warned, with their outcomes."""
    return {check.name: check.outcome for check in report.checks if check.outcome in ("failed", "warning")}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxAws]:
    """A local AWS that the environment points to; at the end, no session made calls that belong to another."""
    with SandboxAws() as running:
        set_environment(monkeypatch, running)
        yield running
        for call in running.calls:
            purpose = (call.session_name or "").removeprefix("ploy-").rpartition("-")[0]
            if purpose in ("probe", "refuse"):
                assert (call.action in ALLOWED[purpose], call.status >= 400) == (True, True), call


@pytest.fixture
def broken_role(aws: SandboxAws, monkeypatch: pytest.MonkeyPatch) -> BrokenRole:
    return BrokenRole(aws, monkeypatch)
