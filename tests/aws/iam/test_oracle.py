"""Reads of random IAM accounts, compared with moto's own state."""

from __future__ import annotations

from hypothesis import HealthCheck, Phase, given

from ploy_connector_aws.sandbox.aws import IamAccount, Organisation, PermissionSet, SandboxAws
from tests.aws.conftest import make_customer
from tests.soak import costly

from .oracle import facts_in, facts_in_aws
from .random_accounts import PERMISSION_SETS, iam_accounts

ORGANISATION = Organisation(owner_account_id="", permission_sets=tuple(PermissionSet(name) for name in PERMISSION_SETS))


@given(account=iam_accounts())
@costly(
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_account_is_read_exactly(aws: SandboxAws, account: IamAccount) -> None:
    customer = make_customer(aws, ORGANISATION, ["identity-center", "iam"])
    aws.seed_iam(str(customer.settings["account_id"]), account)
    snapshot = customer.read()

    assert snapshot.failures == {}
    assert facts_in(snapshot) == facts_in_aws(str(customer.settings["account_id"]), customer.seeded.permission_sets)
