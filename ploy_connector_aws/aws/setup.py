"""The set-up wizard as data: steps, documents and links, made from the features and the list of actions.

This module imports no AWS library, as every host reads the manifest that is made of it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from typing import Any

from ploy_connector_aws.config import PLOY_ACCOUNT_ID
from ploy_connector_aws.spec import Document, HostParameter, Link, Step, Wizard, WizardField, render

from .features import CUSTOMER_MANAGED_KEY, FEATURES, features_of
from .permissions import (
    ACCOUNT_NAMES,
    BY_PERMISSION_SET,
    DIRECT_ASSIGNMENTS,
    KMS_DECRYPT,
    STATEMENTS,
    Action,
    render_statement,
)

ROLE_NAME = "Ploy"
POLICY_NAME = "PloyAccess"


def make_wizard() -> Wizard:
    """Make the steps, in the order of Ploy's guide."""
    return Wizard(
        steps=(_account(), _external_id(), _role(), _permissions(), _test()),
        operator_values=(
            HostParameter(
                name="cloudformation_template_url",
                title="CloudFormation template",
                description="The S3 address of the template that is the same for all customers. They must be able to "
                "read it.",
                pattern=r"^https://[a-z0-9.-]+\.s3[a-z0-9.-]*\.amazonaws\.com/[A-Za-z0-9/._-]+$",
                error_message="must be an https:// address on S3, e.g. "
                "https://example.s3.eu-west-1.amazonaws.com/ploy.yaml",
            ),
            HostParameter(
                name="cloudformation_template_region",
                title="Region of the CloudFormation template",
                description="The Region of that bucket, in which CloudFormation creates the stack.",
                pattern=r"^[a-z]{2}-[a-z]+-[1-9]$",
                error_message="must be the name of an AWS Region, e.g. eu-west-1",
            ),
        ),
        operator_documents=(
            Document(
                id="cloudformation-shared",
                title="CloudFormation template to put on S3, the same for all customers",
                language="yaml",
                file_name="ploy-role-shared.yaml",
                template=_cloudformation(_SHARED_PARAMETER, _trust("!Ref ExternalId")),
            ),
        ),
    )


def render_policy(features: Collection[str]) -> str:
    """Render the permission policy of the set-up.

    Args:
        features: The names of the chosen features.
    """
    return render(_policy(), "json", values={}, features=features)


def _account() -> Step:
    return Step(
        id="account",
        title="Your AWS account",
        text=(
            "You need an AWS account in which you may create IAM roles. To see who can enter all accounts of your "
            "organization, choose its management account or the delegated administrator of IAM Identity Center.",
            "Choose what Ploy may read and change. Ploy does not read what you leave out, and does not need the "
            "permissions for it.",
        ),
        fields=(WizardField(name="account_id"), WizardField(name="region"), WizardField(name="names")),
        asks_features=True,
    )


def _external_id() -> Step:
    return Step(
        id="external-id",
        title="External ID",
        text=(
            "Copy this external ID. It was generated at random for this integration only, and Ploy sends it whenever "
            "it assumes your role. If the role requires it, no other customer can make Ploy use your role.",
        ),
        fields=(WizardField(name="external_id", source="host"),),
    )


def _role() -> Step:
    return Step(
        id="role",
        title="The role",
        text=(
            'Open the AWS console at "Create role". The trusted entity type must be "AWS account", '
            f'and in it "Another AWS account" with Ploy\'s account ID {PLOY_ACCOUNT_ID}. "Require external ID" must be '
            "selected, with the external ID of the previous step; do not require MFA. Fill in what the link did not.",
            f"Select no policy yet, name the role {ROLE_NAME} and create it. Its trust policy must then be this one.",
            "Alternatively, the CloudFormation template or the Terraform module creates the role with its permissions. "
            "CloudFormation asks you to acknowledge that the template creates an IAM role with a custom name: tick the "
            "box in the console, or add --capabilities CAPABILITY_NAMED_IAM on the command line. The output contains "
            "the role's ARN.",
        ),
        links=(
            Link(
                id="link",
                title="Open the AWS console",
                # Not documented by AWS; shipped products prefill the same (AWS.md section 7).
                url="https://console.aws.amazon.com/iam/home#/roles/create?step=type&trustedEntityType=AWS_ACCOUNT"
                f"&awsAccount={PLOY_ACCOUNT_ID}&isThirdParty=true&externalId={{{{ external_id }}}}",
            ),
            Link(
                id="quick-create-link",
                title="Create the role and its permissions with CloudFormation",
                # AWS's "quick-create links for stacks"; the parameter is not NoEcho, as such ones are ignored.
                url="https://{{ cloudformation_template_region }}.console.aws.amazon.com/cloudformation/home"
                "?region={{ cloudformation_template_region }}#/stacks/create/review"
                "?templateURL={{ cloudformation_template_url }}"
                f"&stackName={ROLE_NAME}&param_ExternalId={{{{ external_id }}}}",
                only_with=tuple(feature.name for feature in FEATURES if feature.is_default),
            ),
        ),
        documents=(
            Document(
                id="trust-policy",
                title="The role's trust policy",
                language="json",
                file_name="trust-policy.json",
                template=_trust('"{{ external_id }}"'),
            ),
            Document(
                id="cloudformation",
                title="CloudFormation template: the role with its permissions",
                language="yaml",
                file_name="ploy-role.yaml",
                template=_cloudformation("", "{{ include trust-policy }}"),
                is_alternative=True,
            ),
            Document(
                id="terraform",
                title="Terraform module: the role with its permissions",
                language="hcl",
                file_name="ploy_role.tf",
                template=_TERRAFORM,
                is_alternative=True,
            ),
        ),
    )


def _permissions() -> Step:
    return Step(
        id="permissions",
        title="The permissions",
        text=(
            'Open the role in the AWS console, choose "Add permissions", then "Create inline policy", and put this '
            f"policy in as JSON under the name {POLICY_NAME}. CloudFormation and Terraform have done this already.",
            "Check what each permission is for before you attach the policy. Ploy never changes the role; you make all "
            "later changes.",
        ),
        documents=(
            Document(
                id="policy",
                title="The permission policy",
                language="json",
                file_name="policy.json",
                template=_policy(),
            ),
        ),
        explains_permissions=True,
    )


def _test() -> Step:
    return Step(
        id="test",
        title="Test",
        text=(
            "Enter the ARN of the role, and test the connection. AWS may take a minute to make a new role available in "
            "every Region.",
        ),
        fields=(WizardField(name="role_arn", suggestion=f"arn:aws:iam::{{{{ account_id }}}}:role/{ROLE_NAME}"),),
        tests_connection=True,
    )


def _trust(external_id: str) -> str:
    marked = "(external id)"
    statement = {
        "Effect": "Allow",
        # The account and not one of its roles: a recreated role would no longer be trusted (AWS.md section 5).
        "Principal": {"AWS": f"arn:aws:iam::{PLOY_ACCOUNT_ID}:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": marked}},
    }
    return _indented({"Version": "2012-10-17", "Statement": [statement]}).replace(json.dumps(marked), external_id)


def _policy() -> str:
    kms = json.loads(render_statement([KMS_DECRYPT]))
    lines = ["{", ' "Version": "2012-10-17",', ' "Statement": [']
    for actions in (*STATEMENTS, BY_PERMISSION_SET, DIRECT_ASSIGNMENTS, ACCOUNT_NAMES):
        lines += _conditional(
            tuple(dict.fromkeys(name for each in actions for name in features_of(each))), _statement(actions)
        )
    lines += _conditional((CUSTOMER_MANAGED_KEY,), [f"  {line}" for line in _indented(kms).split("\n")])
    lines += [" ]", "}"]
    return "\n".join(lines)


def _statement(actions: Sequence[Action]) -> Iterator[str]:
    yield from ("  {", '   "Effect": "Allow",', '   "Action": [')
    all_features = {name for action in actions for name in features_of(action)}
    for features, together in groupby(actions, features_of):
        lines = [f"    {json.dumps(action.iam)}," for action in together]
        yield from lines if set(features) == all_features else _conditional(features, lines)
    yield from ("   ],", '   "Resource": "*"', "  },")


def _conditional(features: Sequence[str], lines: Iterator[str] | Sequence[str]) -> Iterator[str]:
    yield f"{{{{ if {' '.join(features)} }}}}"
    yield from lines
    yield "{{ end }}"


def _indented(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=1)


def _include(document: str, spaces: int) -> str:
    """Indent a template, or the line that includes one."""
    return "\n".join(" " * spaces + line for line in document.split("\n"))


_SHARED_PARAMETER = """\
  ExternalId:
    Type: String
    Description: The external ID that Ploy generated for your integration. Do not change it.
    MinLength: 16
    MaxLength: 1224
    AllowedPattern: "[\\\\w+=,.@:/-]+"
"""


def _cloudformation(parameter: str, trust: str) -> str:
    return f"""\
AWSTemplateFormatVersion: "2010-09-09"
Description: The role that Ploy assumes; it requires Ploy's account and the external ID.
Parameters:
  RoleName:
    Type: String
    Description: The name of the role.
    Default: {ROLE_NAME}
{parameter}Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Ref RoleName
      AssumeRolePolicyDocument:
{_include(trust, 8)}
      Policies:
        - PolicyName: {POLICY_NAME}
          PolicyDocument:
            {{{{ include policy }}}}
Outputs:
  RoleArn:
    Description: The ARN that Ploy asks for.
    Value: !GetAtt Role.Arn
"""


# Formatted as by terraform fmt. It would reformat JSON differently in each version, but leaves a heredoc unchanged. The
# values are ASCII, and their escapes for HCL mean the same in JSON.
_TERRAFORM = f"""\
terraform {{
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = ">= 4.0"
    }}
  }}
}}

variable "role_name" {{
  description = "The name of the role."
  type        = string
  default     = "{ROLE_NAME}"
}}

resource "aws_iam_role" "ploy" {{
  name = var.role_name

  assume_role_policy = <<-JSON
    {{{{ include trust-policy }}}}
  JSON
}}

resource "aws_iam_role_policy" "ploy" {{
  name = "{POLICY_NAME}"
  role = aws_iam_role.ploy.id

  policy = <<-JSON
    {{{{ include policy }}}}
  JSON
}}

output "role_arn" {{
  description = "The ARN that Ploy asks for."
  value       = aws_iam_role.ploy.arn
}}
"""
