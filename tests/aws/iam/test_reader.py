"""The whole reading of IAM, over HTTP from the local AWS: its scopes, its calls, its faults."""

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

AT_ONCE = {"iam/policies", "iam/users", "iam/groups", "iam/roles", "iam/trust"}
LEAVES = {*AT_ONCE, "iam/permission-set-roles"}
DETAILS = "iam:GetAccountAuthorizationDetails"
ASKED = ["GetAccountAuthorizationDetails", "ListUsers", "ListRoles", "GetAccountAuthorizationDetails"]


def asked(owner: IamCustomer) -> list[str]:
    return [call.operation for call in owner.aws.calls if call.service == "iam"]


def read_tampered(owner: IamCustomer, monkeypatch: pytest.MonkeyPatch, tamper: Tamper) -> Snapshot:
    with tampered(owner.aws.endpoint_url, tamper) as endpoint_url, monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", endpoint_url)
        return owner.read_iam()


def test_the_scopes_form_the_tree_and_all_end_complete(owner: IamCustomer) -> None:
    picture = owner.read_iam(scopes=["identity-center", "iam"])

    assert {scope for scope, parent in picture.parents.items() if parent == "iam"} == LEAVES
    assert set(picture.endings.values()) == {"complete"}


def test_everything_is_read_with_the_accounts_in_four_calls(owner: IamCustomer) -> None:
    connector = owner.connector(scopes=["iam"])
    pages = list(connector.list_accounts(frozenset()))

    assert asked(owner) == ASKED
    assert {page.scope for page in pages if page.ending == "complete"} == {"iam", *AT_ONCE}
    rest = list(connector.list_entitlements(frozenset()))
    assert asked(owner) == ASKED
    assert [page.scope for page in rest] == []


def test_it_is_read_with_the_entitlements_where_nobody_asked_for_accounts(owner: IamCustomer) -> None:
    everything = list(owner.connector(scopes=["iam"]).list_entitlements(frozenset()))

    assert asked(owner) == ASKED
    assert everything == list(owner.read_pages(scopes=["iam"]))


def test_it_is_read_again_after_an_interruption_whatever_was_read_before(owner: IamCustomer) -> None:
    everything = owner.read_iam()

    assert owner.read(frozenset(everything.endings), scopes=["iam"]) == everything


def test_what_is_switched_off_ends_excluded_and_is_not_asked_for(owner: IamCustomer) -> None:
    off = Page(scope="iam", excluded=True)
    assert [page for page in owner.read_pages(scopes=["identity-center"]) if page.scope.startswith("iam")] == [off]
    assert asked(owner) == []

    owner.aws.calls.clear()
    only_iam = list(owner.read_pages(scopes=["iam"]))
    assert [page for page in only_iam if page.scope.startswith("identity-center")] == [
        Page(scope="identity-center", excluded=True)
    ]
    assert {call.service for call in owner.aws.calls} == {"sts", "iam"}
    links = [page for page in only_iam if page.scope == "iam/permission-set-roles"]
    assert links == [Page(scope="iam/permission-set-roles", parent="iam", excluded=True)]


def test_an_empty_account_is_an_answer(owner: IamCustomer) -> None:
    picture = owner.reseed(IamAccount()).read_iam()

    assert picture.ended("complete") >= AT_ONCE
    assert picture.of("account", "unknown") == {}
    assert picture.of("entitlement", "group") == {}
    # The role of the integration itself is always there.
    assert picture.of("entitlement", "role").keys() == {owner.ploy}


def test_more_than_a_page_holds_is_all_read_in_pages_and_three_calls(owner: IamCustomer) -> None:
    many = range(1100)
    owner.reseed(
        IamAccount(
            policies=tuple(IamPolicy(f"policy-{number}", allowing("s3:GetObject")) for number in many),
            users=tuple(IamUser(f"user-{number}", managed_policies=(f"policy-{number}",)) for number in many),
            roles=tuple(IamRole(f"role-{number}", trusting(Service="ec2.amazonaws.com")) for number in many),
        )
    )
    picture = owner.read_iam()

    assert picture.failures == {}
    assert picture.of("account").keys() >= {owner.user(f"user-{number}") for number in many}
    assert picture.of("entitlement").keys() >= {
        *(owner.role(f"role-{number}") for number in many),
        *(owner.policy(f"policy-{number}") for number in many),
    }
    # 1,100 policies, and 2,201 users and roles in details; 1,100 users and 1,101 roles in the lists.
    assert len(asked(owner)) == 2 + 3 + 2 + 2


def test_an_empty_page_is_not_the_end(owner: IamCustomer) -> None:
    calm = owner.read_iam()
    owner.aws.faults.empty_pages()

    assert owner.read_iam() == calm


@pytest.mark.parametrize("fault", ["throttle", "fail", "cut_connection"])
def test_every_second_call_going_wrong_changes_nothing(owner: IamCustomer, fault: str) -> None:
    calm = owner.read_iam()
    getattr(owner.aws.faults, fault)(2)

    assert owner.read_iam() == calm
    assert calm.failures == {}


def test_where_details_are_denied_names_and_existence_are_left_as_partial(owner: IamCustomer) -> None:
    calm = owner.read_iam()
    owner.aws.calls.clear()
    owner.aws.faults.deny(DETAILS)
    picture = owner.read_iam()

    assert asked(owner) == [
        "GetAccountAuthorizationDetails",
        "ListPolicies",
        "ListUsers",
        "ListGroups",
        "ListRoles",
    ]
    assert picture.ended("failed") == AT_ONCE
    assert {failure.missing_permissions for failure in picture.failures.values()} == {(DETAILS,)}
    assert picture.records == {}
    # Inline policies and those that roles trust are in no list.
    known = {key for key in calm.records if key.type != "grant" and "/inline/" not in key.id and key.type != "resource"}
    outside = {key for key in known if key.id.startswith("arn:aws:iam::") and ":policy/" not in key.id}
    services = {key for key in known if key.id.endswith(".amazonaws.com")}
    assert picture.partial.keys() == known - outside - services
    ana = picture.partial[RecordKey(type="account", id=owner.user("ana"))]
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
def test_where_a_plain_list_is_denied_too_both_permissions_are_missing(
    owner: IamCustomer, action: str, scope: str
) -> None:
    owner.aws.faults.deny(DETAILS, action)
    picture = owner.read_iam()

    assert {each: failure.missing_permissions for each, failure in picture.failures.items()} == {
        **dict.fromkeys(AT_ONCE, (DETAILS,)),
        scope: (DETAILS, action),
    }


@pytest.mark.parametrize(
    ("action", "scope", "lacking"),
    [
        ("iam:ListUsers", "iam/users", {"account": ("unknown", "human", "service")}),
        ("iam:ListRoles", "iam/roles", {"account": ("service",), "entitlement": ("role",)}),
    ],
)
def test_without_a_joined_list_the_records_are_partial_and_their_scope_fails(
    owner: IamCustomer, action: str, scope: str, lacking: dict[str, tuple[str, ...]]
) -> None:
    calm = owner.read_iam()
    owner.aws.faults.deny(action)
    picture = owner.read_iam()

    assert picture.ended("failed") == {scope}
    assert picture.failures[scope].missing_permissions == (action,)
    assert picture.partial.keys() == {
        key
        for key, record in calm.records.items()
        if (record.attributes.get("arn", "").split("/")[0].rpartition(":")[2] == scope.removeprefix("iam/")[:-1])
        and key.type in lacking
        and key.id.startswith(f"{owner.account_id}/")
    }
    # Not one record is full that has a hole, and none is missing.
    assert picture.records.items() <= calm.records.items()
    assert {*picture.records, *picture.partial} == calm.records.keys()


def test_a_user_that_only_one_of_the_lists_has_is_partial(owner: IamCustomer, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = read_tampered(owner, monkeypatch, in_xml("ListUsers", r"<member><Path>/people/</Path>.*?</member>", ""))

    assert picture.failures == {}
    assert picture.partial.keys() == {RecordKey(type="account", id=owner.user("ana"))}


@pytest.mark.parametrize("calls_before", [0, 1], ids=["policies", "holders"])
def test_trouble_at_aws_fails_all_that_depends_on_it_and_removes_nothing(owner: IamCustomer, calls_before: int) -> None:
    calm = owner.read_iam()
    owner.aws.faults.answer(
        "GetAccountAuthorizationDetails", "ValidationError", every=calls_before + 1, message="never"
    )
    picture = owner.read_iam()

    # The groups come with the policies.
    assert picture.ended("failed") == (AT_ONCE if not calls_before else AT_ONCE - {"iam/policies", "iam/groups"})
    assert picture.records.items() <= calm.records.items()


def test_a_page_that_is_lost_in_the_middle_fails_users_and_roles(owner: IamCustomer) -> None:
    owner.reseed(IamAccount(users=tuple(IamUser(f"user-{number}") for number in range(1100))))
    calm = owner.read_iam()
    owner.aws.faults.answer("GetAccountAuthorizationDetails", "ValidationError", every=3)
    picture = owner.read_iam()

    assert picture.ended("failed") == {"iam/users", "iam/roles", "iam/trust"}
    assert 0 < len(picture.of("account")) < len(calm.of("account"))


def test_credentials_that_fail_in_the_middle_stop_everything(owner: IamCustomer) -> None:
    owner.aws.faults.answer("GetAccountAuthorizationDetails", "ExpiredToken", every=2, status=403)

    with pytest.raises(AuthenticationError):
        list(owner.read_pages(scopes=["iam"]))


@pytest.mark.parametrize("other", ["iam", "identity-center"])
def test_one_part_that_fails_does_not_stop_the_other(owner: IamCustomer, other: str) -> None:
    scopes = ["identity-center", "iam"]
    calm = owner.read(scopes=scopes)
    denied = (DETAILS,) if other == "iam" else ("sso:ListInstances",)
    owner.aws.faults.deny(*denied)
    picture = owner.read(scopes=scopes)

    assert {scope.partition("/")[0] for scope in picture.ended("failed") - {"iam/permission-set-roles"}} == {other}
    readable = {scope for scope in calm.endings if not scope.startswith(other)} - {"iam/permission-set-roles"}
    assert readable <= picture.ended("complete")


@pytest.mark.parametrize(
    ("described", "member"),
    [("UserDetailList", "UserId"), ("RoleDetailList", "RoleId"), ("GroupDetailList", "GroupId")],
)
def test_a_thing_without_its_id_fails_its_scope_and_the_others_are_read(
    owner: IamCustomer, monkeypatch: pytest.MonkeyPatch, described: str, member: str
) -> None:
    calm = owner.read_iam()
    # The first one in the list only.
    pattern = rf"(<{described}><member>.*?)<{member}>\w+</{member}>"
    picture = read_tampered(owner, monkeypatch, in_xml("GetAccountAuthorizationDetails", pattern, r"\1"))
    scope = f"iam/{described.removesuffix('DetailList').lower()}s"

    assert scope in picture.ended("failed")
    assert picture.ended("failed") <= {scope, "iam/trust", "iam/users"}
    assert picture.records.items() <= calm.records.items()


def test_an_answer_that_never_has_a_list_is_not_an_empty_one(
    owner: IamCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tamper = in_xml("GetAccountAuthorizationDetails", r"<GroupDetailList>.*</GroupDetailList>", "")
    picture = read_tampered(owner, monkeypatch, tamper)

    assert "GroupDetailList" in picture.failures["iam/groups"].message
    assert picture.ended("failed") == {"iam/groups", "iam/users"}  # whose members nobody can name


def test_a_document_that_botocore_could_not_decode_leaves_the_verdict_open(
    owner: IamCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = quote(json.dumps(allowing("iam:CreatePolicyVersion")), safe="")
    tamper = in_xml("GetAccountAuthorizationDetails", document, "%7Bnot%20JSON")
    picture = read_tampered(owner, monkeypatch, tamper)
    versions = picture.of("entitlement")[owner.policy("Versions")]

    assert (versions.privileged, versions.privileged_reasons) == (None, ())
    assert versions.attributes["privilege_undecided"]
    assert picture.of("entitlement")[owner.group("operators")].privileged is None
    assert picture.failures == {}


def test_a_document_that_is_too_long_is_undecided_on_its_record(owner: IamCustomer) -> None:
    long = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{'b' * 11_000}"}
    too_long = {"Version": "2012-10-17", "Statement": [long]}
    policy, role = owner.iam.policies["Versions"], owner.iam.roles["fenced"]
    policy.versions[0].document = json.dumps(too_long)
    trust = {"Effect": "Allow", "Principal": {"AWS": "1" * 11_000}, "Action": "sts:AssumeRole"}
    role.assume_role_policy_document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    picture = owner.read_iam()
    entitlements = picture.of("entitlement")
    said = ["The policy document has more than 10,240 characters."]

    judged = entitlements[owner.policy("Versions")]
    assert (judged.privileged, judged.attributes["privilege_undecided"]) == (None, said)
    assert entitlements[owner.role("fenced")].attributes["trust_undecided"] == said
    # Who may assume the role is unknown, so nobody is said not to.
    assert {scope: failure.code for scope, failure in picture.failures.items()} == {"iam/trust": "refused"}
    # A policy of AWS's own is longer, and is decided.
    assert entitlements[READ_ONLY_ACCESS].privileged is False


def test_only_the_default_version_of_a_policy_counts(owner: IamCustomer) -> None:
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
        pytest.param(lambda owner: owner.iam.policies["Nobody"].attach_to(owner.iam.users["robot"]), id="its own"),
        pytest.param(lambda owner: owner.iam.policies["Fence"].attach_to(owner.iam.roles["admin"]), id="a boundary"),
    ],
)
def test_a_policy_attached_between_the_calls_is_there(
    owner: IamCustomer, change: Callable[[IamCustomer], None]
) -> None:
    owner.aws.faults.before("GetAccountAuthorizationDetails", lambda: change(owner), nth=2)
    picture = owner.read_iam()

    assert picture.failures == {}
    assert {each for _, each in picture.edges} <= picture.of("entitlement").keys()
    assert picture == owner.read_iam()


def test_a_policy_made_and_attached_between_the_calls_fails_its_holder_s_scope(owner: IamCustomer) -> None:
    def make() -> None:
        owner.iam.add_policy(IamPolicy("Late", allowing("s3:*")))
        owner.iam.policies["Late"].attach_to(owner.iam.users["robot"])

    owner.aws.faults.before("GetAccountAuthorizationDetails", make, nth=2)

    # The role "fenced" trusts its own account, so its holders depend on all users' policies.
    assert owner.read_iam().ended("failed") == {"iam/users", "iam/trust"}
    assert owner.read_iam().failures == {}


def test_an_aws_policy_of_which_no_document_was_given_is_held_and_judged_by_the_copy(
    owner: IamCustomer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pattern = r"<member><PolicyName>AdministratorAccess</PolicyName><PolicyId>\w+</PolicyId>.*?"
    pattern += r"</PolicyVersionList></member>"
    picture = read_tampered(owner, monkeypatch, in_xml("GetAccountAuthorizationDetails", pattern, ""))

    assert picture.failures == {}
    assert (owner.role("admin"), ADMINISTRATOR) in picture.edges
    unread = picture.partial[RecordKey(type="entitlement", id=ADMINISTRATOR)]
    copy = f"AdministratorAccess was judged by the connector's copy of AWS's policies of {COPIES_DATE}."
    for judged in (unread, picture.of("entitlement")[owner.role("admin")]):
        assert (judged.privileged, judged.privileged_reasons[-1]) == (True, copy)
    assert unread.name == "AdministratorAccess"
    assert READ_ONLY_ACCESS in picture.of("entitlement")


def test_no_secret_is_in_any_page(owner: IamCustomer) -> None:
    for denied in ((), (DETAILS,), ("iam:ListRoles",)):
        owner.aws.faults.deny(*denied)
        said = repr(list(owner.read_pages(scopes=["iam"])))
        assert OTHERS_EXTERNAL_ID not in said
        assert owner.settings["external_id"] not in said
