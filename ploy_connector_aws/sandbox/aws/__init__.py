"""A local AWS: moto's state behind AWS's own signatures, permissions, ids, pages and errors.

moto is the one place where users, groups, permission sets, roles and policies are kept, so that anybody
can read them there independently; what moto answers wrongly is answered here instead.

- `local_aws`: `SandboxAws`, the whole of it; `server`: HTTP on loopback; `application`: one call, start to end
- `requests`: what is asked; `signatures`: by whom it was signed; `calls`: what was asked so far
- `principals`: who that is; `authorization`: may they; `trust`: whom a role trusts; `policies`, `conditions`,
  `patterns`: what a document says; `access_denied`: AWS's errors for a denied call
- `sts`, `iam`, `identity_store`, `identity_center`, `inventory`: the services; `paging`: their pages; `iam_shapes`,
  `query_xml`: what IAM answers, and how; `tables`, `instances`, `assignment_jobs`: what stands beside moto's state
- `organisation`: the description of an organisation; `seeding`: puts it in and changes it; `identifiers`: its ids;
  `iam_account`, `iam_seeding`: the same for IAM; `demo_organisation`, `demo_iam`, `demo_resources`: a believable one
- `accounts`: roles, Ploy's caller, service control policies
- `faults`: what can be made to go wrong
"""

from ploy_connector_aws.sandbox.aws.accounts import (
    FULL_AWS_ACCESS,
    PLOY_ACCOUNT_ID,
    AccessKey,
    Accounts,
    Document,
    ploy_trust_policy,
)
from ploy_connector_aws.sandbox.aws.calls import Call, Calls
from ploy_connector_aws.sandbox.aws.faults import Faults, Rule, about, in_regions
from ploy_connector_aws.sandbox.aws.iam_account import IamAccount, IamGroup, IamPolicy, IamRole, IamUser
from ploy_connector_aws.sandbox.aws.iam_seeding import SeededIam
from ploy_connector_aws.sandbox.aws.instances import CustomerKey
from ploy_connector_aws.sandbox.aws.local_aws import SandboxAws, fresh_account_id
from ploy_connector_aws.sandbox.aws.organisation import (
    Account,
    Assignment,
    CustomerManagedPolicy,
    ExternalId,
    Group,
    Organisation,
    PermissionSet,
    Person,
)
from ploy_connector_aws.sandbox.aws.seeding import SeededOrganisation

__all__ = [
    "FULL_AWS_ACCESS",
    "PLOY_ACCOUNT_ID",
    "AccessKey",
    "Account",
    "Accounts",
    "Assignment",
    "Call",
    "Calls",
    "CustomerKey",
    "CustomerManagedPolicy",
    "Document",
    "ExternalId",
    "Faults",
    "Group",
    "IamAccount",
    "IamGroup",
    "IamPolicy",
    "IamRole",
    "IamUser",
    "Organisation",
    "PermissionSet",
    "Person",
    "Rule",
    "SandboxAws",
    "SeededIam",
    "SeededOrganisation",
    "about",
    "fresh_account_id",
    "in_regions",
    "ploy_trust_policy",
]
