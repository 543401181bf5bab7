"""The set-up: policies and documents are those of the one list of actions, and enough for what was chosen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import hcl2
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ploy_connector_aws.aws.features import CUSTOMER_MANAGED_KEY, FEATURES, GRANTING
from ploy_connector_aws.aws.setup import make_wizard
from ploy_connector_aws.config import PLOY_ACCOUNT_ID, SCOPE_DEPENDENCIES, AwsConfig, config_schema
from ploy_connector_aws.plugin import AwsConnector
from ploy_connector_aws.sandbox.aws import SandboxAws
from ploy_connector_aws.sandbox.aws.accounts import ploy_trust_policy
from ploy_connector_aws.sandbox.aws.demo_organisation import DEMO_RESOURCES
from ploy_connector_aws.spec import Page, choose_features, render, to_settings

from .conftest import EXTERNAL_ID, REGION, SEED_POLICY, is_proof, make_customer

WIZARD = make_wizard()
DOCUMENTS = {document.id: document for document in WIZARD.documents()}
LINKS = {link.id: link for link in WIZARD.links()}
EVERYTHING = choose_features(FEATURES)
VALUES = {"account_id": "111122223333", "region": "eu-west-1", "external_id": EXTERNAL_ID}

# Written down a second time, from what the readers call, to judge the table that the policies are made of.
NEEDED: dict[str, Collection[str]] = {
    "identity-center/users": {"sso:ListInstances", "identitystore:ListUsers"},
    "identity-center/groups": {
        "sso:ListInstances",
        "identitystore:ListGroups",
        "identitystore:ListGroupMemberships",
        "identitystore:DescribeUser",
    },
    "identity-center/permission-sets": {
        "sso:ListInstances",
        "sso:ListPermissionSets",
        "sso:DescribePermissionSet",
        "sso:ListManagedPoliciesInPermissionSet",
        "sso:ListCustomerManagedPolicyReferencesInPermissionSet",
    },
    "identity-center/assignments": {"sso:ListInstances", "sso:ListAccountAssignmentsForPrincipal"},
    "iam": {
        f"iam:{call}" for call in ("GetAccountAuthorizationDetails", *(f"List{x}s" for x in ("Role", "User", "Group")))
    }
    | {"iam:ListPolicies"},
    "s3/buckets": {"s3:ListAllMyBuckets"},
    "dynamodb/tables": {"dynamodb:ListTables"},
    "sqs/queues": {"sqs:ListQueues"},
    "lambda/functions": {"lambda:ListFunctions"},
    "rds/instances": {"rds:DescribeDBInstances", "rds:ListTagsForResource"},
    "ec2/instances": {"ec2:DescribeInstances", "ec2:DescribeTags"},
    "ecs/clusters": {"ecs:ListClusters", "ecs:DescribeClusters", "ecs:ListTagsForResource"},
    GRANTING: {f"identitystore:{call}" for call in ("CreateGroupMembership", "DeleteGroupMembership")}
    | {"identitystore:GetGroupMembershipId"},
    "externally-managed-groups": (),
    "assignments-by-permission-set": ("sso:ListAccountsForProvisionedPermissionSet", "sso:ListAccountAssignments"),
    "direct-assignments": (
        "sso:CreateAccountAssignment",
        "sso:DescribeAccountAssignmentCreationStatus",
        "sso:DeleteAccountAssignment",
        "sso:DescribeAccountAssignmentDeletionStatus",
    ),
    "account-names": ("organizations:ListAccounts",),
    CUSTOMER_MANAGED_KEY: {"kms:Decrypt"},
}


def rendered(document: str, features: Collection[str] = EVERYTHING) -> str:
    return WIZARD.render_document(DOCUMENTS[document], VALUES, features)


def actions_of(policy: dict[str, Any]) -> list[str]:
    actions = [statement["Action"] for statement in policy["Statement"]]
    return [name for each in actions for name in ([each] if isinstance(each, str) else each)]


def only(*names: str) -> tuple[str, ...]:
    """These features with all that they need, and nothing else."""
    without = () if {GRANTING, "externally-managed-groups"} & set(names) else (GRANTING,)
    return choose_features(FEATURES, settings={"scopes": []}, more=names, without=without)


def test_the_policy_for_everything_is_the_one_of_ploys_guide_to_the_letter() -> None:
    assert rendered("policy") == json.dumps(SEED_POLICY, indent=1)


@given(names=st.sets(st.sampled_from([feature.name for feature in FEATURES]), min_size=1))
def test_the_policy_for_some_features_allows_just_what_they_need_in_the_guides_order(names: set[str]) -> None:
    chosen = only(*names)
    needed = {action for name in chosen for action in NEEDED[name]}

    policy = json.loads(rendered("policy", chosen))

    features = ("assignments-by-permission-set", "direct-assignments", "account-names", CUSTOMER_MANAGED_KEY)
    optional = [action for feature in features for action in NEEDED[feature]]
    assert actions_of(policy) == [action for action in [*actions_of(SEED_POLICY), *optional] if action in needed]
    conditions = [each.get("Condition") for each in policy["Statement"] if each["Action"] == "kms:Decrypt"]
    assert all(each and "kms:ViaService" in each["StringLike"] for each in conditions)


def test_everything_that_the_settings_switch_beside_scopes_is_a_feature_with_the_same_default() -> None:
    switched = {feature.setting: feature.is_default for feature in FEATURES if feature.setting != "scopes"}
    booleans = {name: field.default for name, field in AwsConfig.model_fields.items() if field.annotation is bool}

    assert {setting: is_on for setting, is_on in switched.items() if setting} == booleans


def test_every_scope_of_the_settings_is_a_feature_that_needs_the_same() -> None:
    scopes = {feature.name: feature.needs for feature in FEATURES if feature.setting == "scopes"}

    assert scopes == SCOPE_DEPENDENCIES
    for scope in SCOPE_DEPENDENCIES:
        settings = to_settings(FEATURES, only(scope), config_schema())
        assert settings["scopes"] == [name for name in SCOPE_DEPENDENCIES if name in only(scope)]
    assert to_settings(FEATURES, EVERYTHING, config_schema()) == {}


@pytest.mark.parametrize(
    "chosen", [*((scope,) for scope in SCOPE_DEPENDENCIES), ("identity-center", "iam"), ("resources",)]
)
def test_a_sync_of_what_was_chosen_is_denied_nothing_by_the_smaller_policy(
    aws: SandboxAws, chosen: tuple[str, ...]
) -> None:
    features = only(*chosen)
    customer = make_customer(aws, scopes=[name for name in features if name in SCOPE_DEPENDENCIES])
    policy = json.loads(rendered("policy", features))
    aws.accounts.set_role_policy(customer.settings["role_arn"], policy)
    aws.add_resources(customer.settings["account_id"], REGION, DEMO_RESOURCES)
    # Everything that makes a reader ask once more: tags left out of lists, and a member that the list of people lacks.
    aws.faults.leave_out("DescribeDBInstances", "TagList")
    aws.faults.leave_out("DescribeClusters", "tags")
    del customer.seeded.instance.store.users[customer.seeded.users["bo"]]

    pages = list(read_everything(customer.connector()))

    # One call of each sync finds out whether assignments can be read with fewer calls.
    probes = [call.action for call in aws.calls if call.action in NEEDED["assignments-by-permission-set"]]
    assert probes == ["sso:ListAccountsForProvisionedPermissionSet"] * ("identity-center/assignments" in features)
    assert {call.action for call in aws.calls} <= {"sts:AssumeRole", *actions_of(policy), *probes}
    denied = [call.action for call in aws.calls if "Denied" in (call.error_code or "") and not is_proof(call)]
    assert denied == probes
    assert {page.ending for page in pages} <= {None, "complete", "excluded", "gone"}
    read = {page.scope for page in pages if page.ending == "complete"}
    assert {name for name in features if name in SCOPE_DEPENDENCIES} <= read


def read_everything(connector: AwsConnector) -> Iterator[Page]:
    yield from connector.list_accounts(frozenset())
    yield from connector.list_entitlements(frozenset())
    yield from connector.list_resources(frozenset())


def test_the_steps_are_those_of_the_guide_in_its_order() -> None:
    assert [(step.id, [field.name for field in step.fields]) for step in WIZARD.steps] == [
        ("account", ["account_id", "region", "names"]),
        ("external-id", ["external_id"]),
        ("role", []),
        ("permissions", []),
        ("test", ["role_arn"]),
    ]
    sources = {field.name: field.source for field in WIZARD.fields()}
    assert {name for name, source in sources.items() if source == "host"} == {"external_id"}
    role = " ".join(WIZARD.steps[2].text)
    assert [text for text in ('"AWS account"', PLOY_ACCOUNT_ID, '"Require external ID"') if text not in role] == []


def test_the_trust_policy_requires_the_external_id_of_ploys_account() -> None:
    assert json.loads(rendered("trust-policy")) == ploy_trust_policy(EXTERNAL_ID)


def test_the_console_link_fills_in_what_the_console_takes() -> None:
    url = urlsplit(render(LINKS["link"].url, "url", values=VALUES))

    place, _, query = url.fragment.partition("?")
    assert (url.scheme, url.netloc, url.path, place) == (
        "https",
        "console.aws.amazon.com",
        "/iam/home",
        "/roles/create",
    )
    assert parse_qs(query) == {
        "step": ["type"],
        "trustedEntityType": ["AWS_ACCOUNT"],
        "awsAccount": [PLOY_ACCOUNT_ID],
        "isThirdParty": ["true"],
        "externalId": [EXTERNAL_ID],
    }


def test_the_quick_create_link_is_offered_once_the_operator_set_the_template() -> None:
    link = LINKS["quick-create-link"]
    place = "https://ploy-templates.s3.eu-west-1.amazonaws.com/v1/ploy-role-shared.yaml"
    values = {
        **VALUES,
        "cloudformation_template_url": place,
        "cloudformation_template_region": "eu-west-1",
    }
    patterns = {value.name: value.pattern or "" for value in WIZARD.operator_values}
    assert [name for name, pattern in patterns.items() if not re.search(pattern, values[name])] == []
    assert not re.search(patterns["cloudformation_template_url"], "https://example.com/?x.s3.amazonaws.com/y")

    assert not WIZARD.is_offered(link, VALUES, EVERYTHING)
    assert not WIZARD.is_offered(link, values, only("iam"))
    assert WIZARD.is_offered(link, values, EVERYTHING)
    url = urlsplit(render(link.url, "url", values=values))
    page, _, query = url.fragment.partition("?")
    assert (url.netloc, url.path, url.query, page) == (
        "eu-west-1.console.aws.amazon.com",
        "/cloudformation/home",
        "region=eu-west-1",
        "/stacks/create/review",
    )
    assert parse_qs(query) == {"templateURL": [place], "stackName": ["Ploy"], "param_ExternalId": [EXTERNAL_ID]}
    # AWS takes 1,024 characters (AWS.md section 7).
    assert len(url.geturl()) < 1024


def read_template(text: str) -> Any:
    """Read a CloudFormation template, its short functions as in the long form."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!Ref", lambda _, node: {"Ref": node.value})
    Loader.add_constructor("!GetAtt", lambda _, node: {"Fn::GetAtt": node.value})
    return yaml.load(text, Loader)


@pytest.mark.parametrize("features", [EVERYTHING, only("iam", "s3/buckets"), (*EVERYTHING, CUSTOMER_MANAGED_KEY)])
def test_the_cloudformation_templates_make_the_same_role(features: tuple[str, ...]) -> None:
    policy = json.loads(rendered("policy", features))
    expected = {
        "RoleName": {"Ref": "RoleName"},
        "AssumeRolePolicyDocument": ploy_trust_policy(EXTERNAL_ID),
        "Policies": [{"PolicyName": "PloyAccess", "PolicyDocument": policy}],
    }

    own = read_template(rendered("cloudformation", features))
    shared = read_template(WIZARD.render_document(DOCUMENTS["cloudformation-shared"], {}, features))

    assert own["Resources"] == {"Role": {"Type": "AWS::IAM::Role", "Properties": expected}}
    assert own["Parameters"] == {
        "RoleName": {"Type": "String", "Description": "The name of the role.", "Default": "Ploy"}
    }
    assert own["Outputs"]["RoleArn"]["Value"] == {"Fn::GetAtt": "Role.Arn"}
    trust = json.loads(json.dumps(ploy_trust_policy("?")).replace('"?"', '{"Ref": "ExternalId"}'))
    assert shared["Resources"]["Role"]["Properties"] == {**expected, "AssumeRolePolicyDocument": trust}
    # A parameter with a default could be left as it is; one that is NoEcho is ignored in a link.
    assert not {"Default", "NoEcho"} & set(shared["Parameters"]["ExternalId"])
    assert re.fullmatch(shared["Parameters"]["ExternalId"]["AllowedPattern"], EXTERNAL_ID)


def test_the_linter_of_cloudformation_finds_nothing(tmp_path: Path) -> None:
    texts = {
        "everything": rendered("cloudformation", (*EVERYTHING, CUSTOMER_MANAGED_KEY)),
        "little": rendered("cloudformation", only("sqs/queues")),
        "shared": WIZARD.render_document(DOCUMENTS["cloudformation-shared"], {}, EVERYTHING),
        # The linter is trusted because it finds this one.
        "broken": rendered("cloudformation").replace("RoleName: !Ref RoleName", "RoleName: !Ref Nothing"),
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)

    done = subprocess.run(
        [Path(sys.executable).with_name("cfn-lint"), "--format", "json", *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
    )

    found = {(Path(each["Filename"]).stem, each["Rule"]["Id"]) for each in json.loads(done.stdout)}
    assert found == {("broken", "E1020"), ("broken", "W2001")}, done.stdout + done.stderr


@pytest.mark.parametrize("features", [EVERYTHING, only("iam", "s3/buckets"), (*EVERYTHING, CUSTOMER_MANAGED_KEY)])
def test_the_terraform_module_makes_the_same_role(features: tuple[str, ...]) -> None:
    read = hcl2.loads(rendered("terraform", features))

    made = {name: body for each in read["resource"] for kind in each.values() for name, body in kind.items()}
    resources = {kind.strip('"'): body['"ploy"'] for each in read["resource"] for kind, body in each.items()}
    assert set(made) == {'"ploy"'}
    assert layout_faults(rendered("terraform", features)) == []
    assert from_heredoc(resources["aws_iam_role"]["assume_role_policy"]) == ploy_trust_policy(EXTERNAL_ID)
    assert from_heredoc(resources["aws_iam_role_policy"]["policy"]) == json.loads(rendered("policy", features))
    assert resources["aws_iam_role_policy"]["role"] == "${aws_iam_role.ploy.id}"
    assert read["output"] == [
        {
            '"role_arn"': {
                "description": '"The ARN that Ploy asks for."',
                "value": "${aws_iam_role.ploy.arn}",
                "__is_block__": True,
            }
        }
    ]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("  type        = string", "  type = string"),
        ("  name = var.role_name", "   name = var.role_name"),
        ('      source  = "hashicorp/aws"', '    source  = "hashicorp/aws"'),
        ("  value       = aws", "  value        = aws"),
        ("  policy = <<-JSON", "  policy =  <<-JSON"),
    ],
)
def test_another_layout_than_terraforms_is_found(right: str, wrong: str) -> None:
    module = rendered("terraform", EVERYTHING)
    assert module.count(right) == 1
    assert layout_faults(module.replace(right, wrong)) != []


def from_heredoc(expression: str) -> Any:
    """What Terraform reads of an indented heredoc of JSON; AWS takes no policy that begins with white space."""
    match = re.fullmatch(r'"<<-JSON\n(.*)\n *JSON"', expression, re.S)
    assert match is not None
    text = textwrap.dedent(match[1])
    assert (text[0], "${" in text, "%{" in text) == ("{", False, False)
    return json.loads(text)


def layout_faults(text: str) -> list[str]:
    """The lines that ``terraform fmt`` would write in another way: two spaces for each open bracket, equals signs of
    neighbours below each other, and nothing about a heredoc."""
    faults, depth, end = [], 0, None
    neighbours: list[str] = []
    for line in [*text.splitlines(), ""]:
        if end is not None:
            end = None if line.strip() == end else end
            continue
        closing = len(re.match(r"[\s)\]}]*", line)[0].strip())  # type: ignore[index]
        if line and not line.startswith("  " * (depth - closing) + line.strip()[0]):
            faults.append(line)
        change = sum(line.count(each) for each in "([{") - sum(line.count(each) for each in ")]}")
        depth += change
        assigned = re.match(r"\s*\w+ *(?==)", line)
        if assigned and change == 0:
            neighbours.append(line)
        else:
            widest = max((len(each.partition("=")[0].rstrip()) for each in neighbours), default=0)
            faults += [each for each in neighbours if not re.match(rf".{{{widest + 1}}}= \S", each)]
            neighbours = []
        if heredoc := re.search(r"<<-(\w+)$", line):
            end = heredoc[1]
    return faults


def test_no_text_holds_an_external_id_of_its_own() -> None:
    guid = r"[0-9a-f]{8}-[0-9a-f]{4}-"

    assert re.findall(guid, WIZARD.model_dump_json()) == []
    wanting = {document.id for document in WIZARD.documents() if "external_id" in WIZARD.placeholders_of(document)}
    assert wanting == {"trust-policy", "cloudformation", "terraform"}


def test_the_document_about_the_set_up_knows_the_same_steps_features_and_texts() -> None:
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "set-up-aws.md").read_text()

    headings = re.findall(r"^## \d\. (.+)$", page, re.M)
    assert headings == [step.title for step in WIZARD.steps]
    table = "\n".join(line for line in page.splitlines() if line.startswith("|"))
    groups = {feature.group for feature in FEATURES if feature.group}
    assert set(re.findall(r"`([^`]+)`", table)) == {*groups, *(feature.name for feature in FEATURES)}
    assert set(re.findall(r"--print (\S+)", page)) == {*DOCUMENTS, *LINKS}
