"""The read of IAM over HTTP from the local AWS: its scopes, its calls, its faults."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote

import pytest

from ploy_connector_aws.aws.policy.effective_permissions import COPIES_DATE
from ploy_connector_aws.sandbox.aws import IamAccount, IamPolicy, IamRole, IamUser
from ploy_connector_aws.sandbox.aws.iam_account import allowing, trusting
from ploy_connector_aws.spec import AuthenticationError, Page, RecordKey
from tests.aws.snapshot import Snapshot
from tests.aws.tampering import Tamper, in_xml, tampered

from .conftest import ADMINISTRATOR, OTHERS_EXTERNAL_ID, READ_ONLY_ACCESS, SIGNED_IN, IamCustomer

ACCOUNT_SCOPES = {"iam/policies", "iam/users", "iam/groups", "iam/roles", "iam/trust", "iam/dormant-users"}
LEAVES = {*ACCOUNT_SCOPES, "iam/permission-set-roles"}
DETAILS = "iam:GetAccountAuthorizationDetails"
CALLS = ["GetAccountAuthorizationDetails", "ListUsers", "ListRoles", "GetAccountAuthorizationDetails"]


def calls_of(owner: IamCustomer) -> list[str]:
    return [call.operation for call in owner.aws.calls if call.service == "iam"]


def read_tampered(owner: IamCustomer, monkeypatch: pytest.MonkeyPatch, tamper: Tamper) -> Snapshot:
    with tampered(owner.aws.endpoint_url, tamper) as endpoint_url, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        return owner.read_iam()


def test_scopes_form_the_tree_and_all_end_complete(owner: IamCustomer) -> None:
    snapshot = owner.read_iam(scopes=["identity-center", "iam"])

    assert {scope for scope, parent in snapshot.parents.items() if parent == "iam"} == LEAVES
    assert set(snapshot.endings.values()) == {"complete"}


def test_everything_is_read_with_the_accounts_in_four_calls(owner: IamCustomer) -> None:
    connector = owner.connector(scopes=["iam"])
    pages = list(connector.list_accounts(frozenset()))

    assert calls_of(owner) == CALLS
    ana = f"iam/dormant-users/{owner.iam.users['ana'].id}"
    assert {page.scope for page in pages if page.ending == "complete"} == {"iam", *ACCOUNT_SCOPES, ana}
    rest = list(connector.list_entitlements(frozenset()))
    assert calls_of(owner) == CALLS
    assert [page.scope for page in rest] == []


def test_everything_is_read_with_the_entitlements_if_accounts_were_not_requested(owner: IamCustomer) -> None:
    everything = list(owner.connector(scopes=["iam"]).list_entitlements(frozenset()))

    assert calls_of(owner) == CALLS
    assert everything == list(owner.read_pages(scopes=["iam"]))


def test_everything_is_read_again_after_an_interruption(owner: IamCustomer) -> None:
    everything = owner.read_iam()

    assert owner.read(frozenset(everything.endings), scopes=["iam"]) == everything


def test_disabled_source_ends_excluded_without_calls(owner: IamCustomer) -> None:
    off = Page(scope="iam", excluded=True)
    assert [page for page in owner.read_pages(scopes=["identity-center"]) if page.scope.startswith("iam")] == [off]
    assert calls_of(owner) == []

    owner.aws.calls.clear()
    only_iam = list(owner.read_pages(scopes=["iam"]))
    assert [page for page in only_iam if page.scope.startswith("identity-center")] == [
        Page(scope="identity-center", excluded=True)
    ]
    assert {call.service for call in owner.aws.calls} == {"sts", "iam"}
    links = [page for page in only_iam if page.scope == "iam/permission-set-roles"]
    assert links == [Page(scope="iam/permission-set-roles", parent="iam", excluded=True)]


def test_empty_account_is_read_completely(owner: IamCustomer) -> None:
    snapshot = owner.reseed(IamAccount()).read_iam()

    assert snapshot.ended("complete") >= ACCOUNT_SCOPES
    assert snapshot.of("account", "unknown") == {}
    assert snapshot.of("entitlement", "group") == {}
    # The role of the integration itself always exists.
    assert snapshot.of("entitlement", "role").keys() == {owner.ploy}


def test_all_pages_are_read(owner: IamCustomer) -> None:
    many = range(1100)
    owner.reseed(
        IamAccount(
            policies=tuple(IamPolicy(f"policy-{number}", allowing("s3:GetObject")) for number in many),
            users=tuple(IamUser(f"user-{number}", managed_policies=(f"policy-{number}",)) for number in many),
            roles=tuple(IamRole(f"role-{number}", trusting(Service="ec2.amazonaws.com")) for number in many),
        )
    )
    snapshot = owner.read_iam()

    assert snapshot.failures == {}
    assert snapshot.of("account").keys() >= {owner.user(f"user-{number}") for number in many}
    assert snapshot.of("entitlement").keys() >= {
        *(owner.role(f"role-{number}") for number in many),
        *(owner.policy(f"policy-{number}") for number in many),
    }
    # 1,100 policies, and 2,201 users and roles in details; 1,100 users and 1,101 roles in the lists.
    assert len(calls_of(owner)) == 2 + 3 + 2 + 2


def test_empty_page_is_not_the_end(owner: IamCustomer) -> None:
    calm = owner.read_iam()
    owner.aws.faults.empty_pages()

    assert owner.read_iam() == calm


@pytest.mark.parametrize("fault", ["throttle", "fail", "cut_connection"])
def test_failure_of_every_second_call_changes_nothing(owner: IamCustomer, fault: str) -> None:
    calm = owner.read_iam()
    getattr(owner.aws.faults, fault)(2)

    assert owner.read_iam() == calm
    assert calm.failures == {}


def test_denied_details_leave_names_as_partial_records(owner: IamCustomer) -> None:
    calm = owner.read_iam()
    owner.aws.calls.clear()
    owner.aws.faults.deny(DETAILS)
    snapshot = owner.read_iam()

    assert calls_of(owner) == [
        "GetAccountAuthorizationDetails",
        "ListPolicies",
        "ListUsers",
        "ListGroups",
        "ListRoles",
    ]
    assert snapshot.ended("failed") == ACCOUNT_SCOPES
    assert {failure.missing_permissions for failure in snapshot.failures.values()} == {(DETAILS,)}
    assert snapshot.records == {}
    # No list has inline policies, or principals of trust policies.
    listed = ("account", "entitlement")
    known = {key for key in calm.records if key.type in listed and "/inline/" not in key.id}
    outside = {key for key in known if key.id.startswith("arn:aws:iam::") and ":policy/" not in key.id}
    services = {key for key in known if key.id.endswith(".amazonaws.com")}
    assert snapshot.partial.keys() == known - outside - services
    ana = snapshot.partial[RecordKey(type="account", id=owner.user("ana"))]
    assert (ana.username, ana.last_login_at) == ("ana", SIGNED_IN)


@pytest.mark.parametrize(
    ("action", "scope"),
    [
        ("iam:ListPolicies", "iam/policies"),
        ("iam:ListUsers", "iam/users"),
        ("iam:ListGroups", "iam/groups"),
        ("iam:ListRoles", "iam/roles"),
    ],
)
def test_denied_fallback_list_reports_both_missing_permissions(owner: IamCustomer, action: str, scope: str) -> None:
    owner.aws.faults.deny(DETAILS, action)
    snapshot = owner.read_iam()

    assert {each: failure.missing_permissions for each, failure in snapshot.failures.items()} == {
        **dict.fromkeys(ACCOUNT_SCOPES, (DETAILS,)),
        scope: (DETAILS, action),
    }


@pytest.mark.parametrize(
    ("action", "scope", "lacking"),
    [
        ("iam:ListUsers", "iam/users", {"account": ("unknown", "human", "service")}),
        ("iam:ListRoles", "iam/roles", {"account": ("service",), "entitlement": ("role",)}),
    ],
)
def test_denied_joined_list_leaves_partial_records_and_fails_their_scope(
    owner: IamCustomer, action: str, scope: str, lacking: dict[str, tuple[str, ...]]
) -> None:
    calm = owner.read_iam()
    owner.aws.faults.deny(action)
    snapshot = owner.read_iam()

    # Whether all dormant users were found depends on the users.
    assert snapshot.ended("failed") == ({scope, "iam/dormant-users"} if scope == "iam/users" else {scope})
    assert snapshot.failures[scope].missing_permissions == (action,)
    assert snapshot.partial.keys() == {
        key
        for key, record in calm.records.items()
        if key.type != "finding"
        and (record.attributes.get("arn", "").split("/")[0].rpartition(":")[2] == scope.removeprefix("iam/")[:-1])
        and key.type in lacking
        and key.id.startswith(f"{owner.account_id}/")
    }
    # No incomplete record is full, and none is missing.
    assert snapshot.records.items() <= calm.records.items()
    unknown = {key for key in calm.records if key.type == "finding" and scope == "iam/users"}
    assert {*snapshot.records, *snapshot.partial, *unknown} == calm.records.keys()


def test_user_on_only_one_of_the_lists_is_partial(owner: IamCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = read_tampered(owner, monkeypatch, in_xml("ListUsers", r"<member><Path>/people/</Path>.*?</member>", ""))

    # The list that lacks it has the date of its last sign-in, too.
    assert snapshot.failures.keys() == {f"iam/dormant-users/{owner.iam.users['ana'].id}"}
    assert snapshot.partial.keys() == {RecordKey(type="account", id=owner.user("ana"))}


@pytest.mark.parametrize("calls_before", [0, 1], ids=["policies", "holders"])
def test_aws_error_fails_all_that_depends_on_it_and_removes_nothing(owner: IamCustomer, calls_before: int) -> None:
    calm = owner.read_iam()
    owner.aws.faults.answer(
        "GetAccountAuthorizationDetails", "ValidationError", every=calls_before + 1, message="never"
    )
    snapshot = owner.read_iam()

    # The groups come with the policies.
    assert snapshot.ended("failed") == (
        ACCOUNT_SCOPES if not calls_before else ACCOUNT_SCOPES - {"iam/policies", "iam/groups"}
    )
    assert snapshot.records.items() <= calm.records.items()


def test_lost_page_fails_users_and_roles(owner: IamCustomer) -> None:
    owner.reseed(IamAccount(users=tuple(IamUser(f"user-{number}") for number in range(1100))))
    calm = owner.read_iam()
    owner.aws.faults.answer("GetAccountAuthorizationDetails", "ValidationError", every=3)
    snapshot = owner.read_iam()

    assert snapshot.ended("failed") == {"iam/users", "iam/roles", "iam/trust", "iam/dormant-users"}
    assert 0 < len(snapshot.of("account")) < len(calm.of("account"))


def test_credentials_that_expire_midway_stop_everything(owner: IamCustomer) -> None:
    owner.aws.faults.answer("GetAccountAuthorizationDetails", "ExpiredToken", every=2, status=403)

    with pytest.raises(AuthenticationError):
        list(owner.read_pages(scopes=["iam"]))


@pytest.mark.parametrize("other", ["iam", "identity-center"])
def test_failed_source_does_not_stop_the_other(owner: IamCustomer, other: str) -> None:
    scopes = ["identity-center", "iam"]
    calm = owner.read(scopes=scopes)
    denied = (DETAILS,) if other == "iam" else ("sso:ListInstances",)
    owner.aws.faults.deny(*denied)
    snapshot = owner.read(scopes=scopes)

    assert {scope.partition("/")[0] for scope in snapshot.ended("failed") - {"iam/permission-set-roles"}} == {other}
    readable = {scope for scope in calm.endings if not scope.startswith(other)} - {"iam/permission-set-roles"}
    assert readable <= snapshot.ended("complete")


@pytest.mark.parametrize(
    ("described", "member"),
    [("UserDetailList", "UserId"), ("RoleDetailList", "RoleId"), ("GroupDetailList", "GroupId")],
)
def test_row_without_its_id_fails_its_scope_and_the_others_are_read(
    owner: IamCustomer, monkeypatch: pytest.MonkeyPatch, described: str, member: str
) -> None:
    calm = owner.read_iam()
    # The first one in the list only.
    pattern = rf"(<{described}><member>.*?)<{member}>\w+</{member}>"
    snapshot = read_tampered(owner, monkeypatch, in_xml("GetAccountAuthorizationDetails", pattern, r"\1"))
    scope = f"iam/{described.removesuffix('DetailList').lower()}s"

    assert scope in snapshot.ended("failed")
    assert snapshot.ended("failed") <= {scope, "iam/trust", "iam/users", "iam/dormant-users"}
    assert snapshot.records.items() <= calm.records.items()


def test_missing_list_is_not_an_empty_list(owner: IamCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    tamper = in_xml("GetAccountAuthorizationDetails", r"<GroupDetailList>.*</GroupDetailList>", "")
    snapshot = read_tampered(owner, monkeypatch, tamper)

    assert "GroupDetailList" in snapshot.failures["iam/groups"].message
    # The members of those groups are unknown.
    assert snapshot.ended("failed") == {"iam/groups", "iam/users", "iam/dormant-users"}


def test_undecodable_document_leaves_the_verdict_undecided(owner: IamCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    document = quote(json.dumps(allowing("iam:CreatePolicyVersion")), safe="")
    tamper = in_xml("GetAccountAuthorizationDetails", document, "%7Bnot%20JSON")
    snapshot = read_tampered(owner, monkeypatch, tamper)
    versions = snapshot.of("entitlement")[owner.policy("Versions")]

    assert versions.privileged is None
    assert versions.attributes["privilege_undecided"] == list(versions.privileged_reasons) != []
    assert snapshot.of("entitlement")[owner.group("operators")].privileged is None
    assert snapshot.failures == {}


def test_too_long_document_is_undecided_on_its_record(owner: IamCustomer) -> None:
    long = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{'b' * 11_000}"}
    too_long = {"Version": "2012-10-17", "Statement": [long]}
    policy, role = owner.iam.policies["Versions"], owner.iam.roles["fenced"]
    policy.versions[0].document = json.dumps(too_long)
    trust = {"Effect": "Allow", "Principal": {"AWS": "1" * 11_000}, "Action": "sts:AssumeRole"}
    role.assume_role_policy_document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    snapshot = owner.read_iam()
    entitlements = snapshot.of("entitlement")
    too_long_sentence = ["The policy document has more than 10,240 characters."]

    judged = entitlements[owner.policy("Versions")]
    assert (judged.privileged, judged.attributes["privilege_undecided"]) == (None, too_long_sentence)
    assert entitlements[owner.role("fenced")].attributes["trust_undecided"] == too_long_sentence
    # Who may assume the role is unknown, so the scope must not retract anyone.
    assert {scope: failure.code for scope, failure in snapshot.failures.items()} == {"iam/trust": "refused"}
    # A longer policy of AWS's own is decided.
    assert entitlements[READ_ONLY_ACCESS].privileged is False


def test_only_the_default_version_of_a_policy_applies(owner: IamCustomer) -> None:
    policy = owner.iam.policies["Versions"]
    policy.versions[0].is_default = False
    newer = type(policy.versions[0])(policy.arn, json.dumps(allowing("s3:GetObject")), True, "v2")
    policy.versions.append(newer)
    assert owner.read_iam().of("entitlement")[policy_id := owner.policy("Versions")].privileged is False

    newer.is_default = False
    assert owner.read_iam().of("entitlement")[policy_id].privileged is None


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda owner: owner.iam.policies["Unattached"].attach_to(owner.iam.users["robot"]), id="its own"),
        pytest.param(lambda owner: owner.iam.policies["Fence"].attach_to(owner.iam.roles["admin"]), id="a boundary"),
    ],
)
def test_policy_attached_between_the_calls_is_emitted(
    owner: IamCustomer, change: Callable[[IamCustomer], None]
) -> None:
    owner.aws.faults.before("GetAccountAuthorizationDetails", lambda: change(owner), nth=2)
    snapshot = owner.read_iam()

    assert snapshot.failures == {}
    assert {each for _, each in snapshot.edges} <= snapshot.of("entitlement").keys()
    assert snapshot == owner.read_iam()


def test_policy_created_and_attached_between_the_calls_fails_its_holders_scope(owner: IamCustomer) -> None:
    def make() -> None:
        owner.iam.add_policy(IamPolicy("Late", allowing("s3:*")))
        owner.iam.policies["Late"].attach_to(owner.iam.users["robot"])

    owner.aws.faults.before("GetAccountAuthorizationDetails", make, nth=2)

    # The role "fenced" trusts its own account, so its holders depend on all users' policies.
    assert owner.read_iam().ended("failed") == {"iam/users", "iam/trust", "iam/dormant-users"}
    assert owner.read_iam().failures == {}


def test_aws_policy_without_a_document_is_held_and_judged_by_the_copy(
    owner: IamCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = r"<member><PolicyName>AdministratorAccess</PolicyName><PolicyId>\w+</PolicyId>.*?"
    pattern += r"</PolicyVersionList></member>"
    snapshot = read_tampered(owner, monkeypatch, in_xml("GetAccountAuthorizationDetails", pattern, ""))

    assert snapshot.failures == {}
    assert (owner.role("admin"), ADMINISTRATOR) in snapshot.edges
    unread = snapshot.partial[RecordKey(type="entitlement", id=ADMINISTRATOR)]
    copy = f"AdministratorAccess was judged by the connector's copy of AWS's policies of {COPIES_DATE}."
    for judged in (unread, snapshot.of("entitlement")[owner.role("admin")]):
        assert (judged.privileged, judged.privileged_reasons[-1]) == (True, copy)
    assert unread.name == "AdministratorAccess"
    assert READ_ONLY_ACCESS in snapshot.of("entitlement")


def test_no_secret_is_in_any_page(owner: IamCustomer) -> None:
    for denied in ((), (DETAILS,), ("iam:ListRoles",)):
        owner.aws.faults.deny(*denied)
        pages = repr(list(owner.read_pages(scopes=["iam"])))
        assert OTHERS_EXTERNAL_ID not in pages
        assert owner.settings["external_id"] not in pages
