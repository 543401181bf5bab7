"""A local AWS: moto's state behind AWS's own signatures, permissions, ids, pages and errors.

moto keeps users, groups, permission sets, roles and policies, so that tests can read them there independently; where
moto's responses differ from AWS's, these modules respond instead.

- `local_aws`: the class SandboxAws; `server`: HTTP on loopback; `application`: one call from request to response
- `requests`: parsing and signatures of requests; `rendering`: responses; `access_denied`: error responses
- `principals`: the caller; `authorization`: the policies that bind it, and trust policies; `policies`, `conditions`,
  `patterns`: policy documents; `validation`: the form of parameters
- `sts`, `iam`, `identity_store`, `identity_center`, `organizations`, `inventory`: the services; `paging`: their pages;
  `iam_shapes`: IAM's shapes; `instances`: Identity Center's instances, indexes and jobs
- `organisation`: the description of an organisation; `seeding`: seeds and changes it; `identifiers`: its ids;
  `iam_account`, `iam_seeding`: the same for IAM; `demo_organisation`, `demo_iam`: a realistic example
- `accounts`: roles, Ploy's caller, service control policies; `calls`: the record of calls; `faults`: fault injection
"""

from .accounts import FULL_AWS_ACCESS, PLOY_ACCOUNT_ID, ploy_trust_policy
from .calls import Call
from .faults import Faults, about, in_regions
from .iam_account import Document, IamAccount, IamGroup, IamPolicy, IamRole, IamUser
from .iam_seeding import SeededIam
from .instances import CustomerKey
from .local_aws import SandboxAws, fresh_account_id
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
from .seeding import SeededOrganisation

__all__ = [
    "FULL_AWS_ACCESS",
    "PLOY_ACCOUNT_ID",
    "Account",
    "Assignment",
    "Call",
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
    "SandboxAws",
    "SeededIam",
    "SeededOrganisation",
    "about",
    "fresh_account_id",
    "in_regions",
    "ploy_trust_policy",
]
