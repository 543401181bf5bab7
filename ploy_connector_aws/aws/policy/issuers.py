"""Table of OpenID Connect issuers: where each names its tenant, and which values of a claim name exactly one.

AWS calls an issuer private where its URL belongs to one tenant, and shared where all tenants have the same URL (IAM
user guide, "Identity-provider controls for shared OIDC providers"; each provider's own page on federation with AWS).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from .patterns import matches

TABLE_DATE = "2026-11-30"
"""The date of the last comparison of the table with the pages of the providers."""

UNAUTHENTICATED = "unauthenticated"
"""In the claim `amr` of an Amazon Cognito identity pool: a guest (Amazon Cognito developer guide, "IAM roles")."""


@dataclass(frozen=True, slots=True)
class Form:
    """Form of a claim's value: a constant text, then the tenant's name up to the first of some characters.

    Without `ends` the name extends to the end of the value, so only a value without a wildcard names one tenant.
    """

    prefix: str = ""
    ends: str = ""

    def names_tenant(self, beginning: str, *, is_whole: bool) -> bool:
        """Whether all texts with this beginning name the same tenant.

        Args:
            beginning: A value up to its first wildcard.
            is_whole: Whether the value has no wildcard.
        """
        if not beginning.lower().startswith(self.prefix.lower()):
            return False
        rest = beginning[len(self.prefix) :]
        end = next((at for at, character in enumerate(rest) if character in self.ends), None)
        return end != 0 and bool(rest) and (is_whole or end is not None)


@dataclass(frozen=True, slots=True)
class Issuer:
    """One row of the table.

    `urls` lack `https://`; in them `*` matches some characters without a slash, `**` any. For a shared issuer, `claims`
    are those that name a tenant, by their condition keys without the issuer (or the full key, if it has none). For a
    private one the URL names the tenant; `subjects` is the form of every subject, and `constant` are the claims that
    have the same value in all tokens.
    """

    name: str
    urls: tuple[str, ...]
    claims: Mapping[str, tuple[Form, ...]] = field(default_factory=dict)
    subjects: str = "*"
    constant: frozenset[str] = frozenset()
    has_guests: bool = False

    @property
    def is_private(self) -> bool:
        """Whether the issuer's URL belongs to one tenant."""
        return not self.claims


_ID = (Form(),)
_PATH = (Form(ends="/"),)
_REPOSITORY = Form("repo:", "/:@")
_CLUSTER = {"subjects": "system:serviceaccount:*:*", "constant": frozenset({"aud"})}

ISSUERS: tuple[Issuer, ...] = (
    # --- shared: the claims name the tenant -------------------------------------------------------------------------
    Issuer(
        "GitHub Actions",
        ("token.actions.githubusercontent.com", "vstoken.actions.githubusercontent.com"),
        {
            # An owner may put other claims into the subject; each is then preceded by its name.
            "sub": (
                _REPOSITORY,
                *(Form(f"{name}:", "/") for name in ("repository", "job_workflow_ref", "workflow_ref")),
                *(Form(f"{name}:", ":") for name in ("repository_owner", "repository_owner_id", "repository_id")),
                *(Form(f"{name}:", ":") for name in ("enterprise", "enterprise_id")),
            ),
            **dict.fromkeys(("repository_owner", "repository_owner_id", "repository_id"), _ID),
            **dict.fromkeys(("enterprise", "enterprise_id"), _ID),
            **dict.fromkeys(("repository", "job_workflow_ref", "workflow_ref"), _PATH),
        },
    ),
    Issuer(
        "GitHub audit log streaming",
        ("oidc-configuration.audit-log.githubusercontent.com",),
        {"sub": (Form("https://github.com/", "/"),)},
    ),
    Issuer(
        "GitLab.com",
        ("gitlab.com",),
        {
            "sub": (Form("project_path:", "/"),),
            **dict.fromkeys(("project_path", "namespace_path"), _PATH),
            **dict.fromkeys(("project_id", "namespace_id"), _ID),
            "ci_config_ref_uri": (Form("gitlab.com/", "/"),),
        },
    ),
    Issuer(
        "HCP Terraform",
        ("app.terraform.io", "app.eu.terraform.io"),
        {
            "sub": (Form("organization:", ":"),),
            **dict.fromkeys(("terraform_organization_id", "terraform_organization_name"), _ID),
            **dict.fromkeys(("terraform_project_id", "terraform_workspace_id"), _ID),
        },
    ),
    Issuer(
        "Buildkite",
        ("agent.buildkite.com", "agent.*.buildkite.dev"),
        {
            "sub": (Form("organization:", ":"),),
            **dict.fromkeys(("organization_slug", "organization_id", "pipeline_id", "cluster_id"), _ID),
        },
    ),
    Issuer(
        "Pulumi Cloud",
        ("api.pulumi.com/oidc",),
        {
            "sub": (
                *(Form(f"pulumi:{use}:org:", ":") for use in ("deploy", "environments", "insights")),
                *(Form(f"pulumi:environments:pulumi.organization.{name}:", ":") for name in ("login", "id")),
            ),
            # It is the organization's name, or aws: and the name.
            "aud": _ID,
        },
    ),
    Issuer("Scalr", ("scalr.io",), {"sub": (Form("account:", ":"),)}),
    Issuer("Codefresh", ("oidc.codefresh.io",), {"sub": (Form("account:", ":"),)}),
    Issuer("env zero", ("login.app.env0.com",), {"sub": _ID}),
    Issuer(
        "Vercel (global)",
        ("oidc.vercel.com",),
        {
            "sub": (Form("owner:", ":"),),
            "aud": (Form("https://vercel.com/", "/"),),
            **dict.fromkeys(("owner", "owner_id", "project_id"), _ID),
        },
    ),
    Issuer("Modal", ("oidc.modal.com",), {"sub": (Form("modal:workspace_id:", ":"),), "workspace_id": _ID}),
    Issuer("Upbound", ("proidc.upbound.io",), {"sub": (Form("mcp:", "/"),)}),
    Issuer("DVC Studio", ("studio.datachain.ai/api",), {"sub": (Form("credentials:", "/"),)}),
    Issuer("Sandboxes", ("sandboxes.cloud",), {"aud": _ID}),
    Issuer(
        "Google",
        ("accounts.google.com",),
        # STS takes aud from the claim azp, the calling application; oaud is what the caller asked for.
        {**dict.fromkeys(("sub", "aud", "email"), _ID), "google/organization_number": _ID},
    ),
    Issuer(
        "Amazon Cognito identity pools",
        ("cognito-identity.amazonaws.com", "cognito-identity-us-gov.amazonaws.com"),
        {"sub": _ID, "aud": _ID},
        has_guests=True,
    ),
    Issuer("Facebook", ("graph.facebook.com",), {"id": _ID, "app_id": _ID}),
    Issuer("Login with Amazon", ("www.amazon.com",), {"user_id": _ID, "app_id": _ID}),
    Issuer("Sign in with Apple", ("appleid.apple.com",), {"sub": _ID, "aud": _ID}),
    Issuer("JumpCloud", ("oauth.id.jumpcloud.com",), {"sub": _ID, "aud": _ID}),
    Issuer(
        # Microsoft's own tenant, from which Sentinel and Defender for Cloud call for all customers.
        "Microsoft Sentinel and Defender for Cloud",
        ("sts.windows.net/33e01921-4d64-4f8c-a055-5bdaffd5e33d",),
        {"sts:rolesessionname": (Form("MicrosoftSentinel_"), Form("MicrosoftDefenderForClouds_"))},
    ),
    Issuer(
        "Microsoft Entra ID (any tenant)",
        (
            *(f"login.microsoftonline.com/{tenant}" for tenant in ("common", "organizations", "consumers")),
            *(f"login.microsoftonline.com/{tenant}/v2.0" for tenant in ("common", "organizations", "consumers")),
            "login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        ),
        {"sub": _ID, "aud": _ID},
    ),
    Issuer(
        # One cluster serves all customers, each in a namespace.
        "IBM Turbonomic",
        (
            "rh-oidc.s3.us-east-1.amazonaws.com/22ejnvnnturfmt6km08idd0nt4hekbn7",
            "oidc.op1.openshiftapps.com/2f785sojlpb85i7402pk3qogugim5nfb",
        ),
        {"sub": (Form("system:serviceaccount:", ":"),)},
    ),
    # --- private: the URL names the tenant --------------------------------------------------------------------------
    Issuer(
        "Amazon EKS",
        ("oidc.eks.*.amazonaws.com/id/*", "oidc.eks.*.amazonaws.com.cn/id/*", "oidc-eks.*.api.aws/id/*"),
        **_CLUSTER,  # type: ignore[arg-type]
    ),
    Issuer(
        "a Kubernetes cluster with its keys in Amazon S3",
        (
            *("s3.*.amazonaws.com/**", "s3-*.amazonaws.com/**", "s3.amazonaws.com/**"),
            *("*.s3.*.amazonaws.com", "*.s3-*.amazonaws.com", "*.s3.amazonaws.com", "*.s3.*.amazonaws.com/**"),
            *("*.cloudfront.net", "*.cloudfront.net/**"),
        ),
        **_CLUSTER,  # type: ignore[arg-type]
    ),
    Issuer("Red Hat OpenShift Service on AWS", ("oidc.op1.openshiftapps.com/*",), **_CLUSTER),  # type: ignore[arg-type]
    Issuer(
        "Google Kubernetes Engine",
        ("container.googleapis.com/v1/projects/*/locations/*/clusters/*",),
        **_CLUSTER,  # type: ignore[arg-type]
    ),
    Issuer("Azure Kubernetes Service", ("*.oic.prod-aks.azure.com/*/*",), **_CLUSTER),  # type: ignore[arg-type]
    Issuer(
        "GitHub Enterprise",
        ("token.actions.githubusercontent.com/*", "token.actions.*.ghe.com"),
        subjects="repo:*",
        constant=frozenset({"aud"}),
    ),
    Issuer("AWS outbound identity federation", ("*.tokens.sts.global.api.aws",)),
    Issuer("Amazon Cognito user pools", ("cognito-idp.*.amazonaws.com/*", "cognito-idp-fips.*.amazonaws.com/*")),
    Issuer("Auth0", ("*.auth0.com",)),
    Issuer("Azure DevOps", ("vstoken.dev.azure.com/*",), subjects="sc://*"),
    Issuer("Bitbucket Pipelines", ("api.bitbucket.org/2.0/workspaces/*/pipelines-config/identity/oidc",)),
    Issuer("CircleCI", ("oidc.circleci.com/org/*",), subjects="org/*"),
    Issuer("Clerk", ("*.clerk.accounts.dev",)),
    Issuer(
        "Databricks",
        (
            *("accounts.cloud.databricks.com/oidc/accounts/*", "*.cloud.databricks.com/oidc"),
            *("*.azuredatabricks.net/oidc", "*.gcp.databricks.com/oidc"),
        ),
    ),
    Issuer("Firebase", ("securetoken.google.com/*",)),
    Issuer("Fly.io", ("oidc.fly.io/*",)),
    Issuer("Harness", ("app.harness.io/ng/api/oidc/account/*",)),
    Issuer(
        "Microsoft Entra ID",
        (
            *("sts.windows.net/*", "login.microsoftonline.com/*", "login.microsoftonline.com/*/v2.0"),
            *("login.microsoftonline.us/*/v2.0", "*.ciamlogin.com/**", "*.b2clogin.com/**"),
        ),
    ),
    Issuer("Octopus Deploy", ("*.octopus.app",)),
    Issuer(
        "Okta",
        tuple(
            f"*.{domain}{path}"
            for domain in ("okta.com", "oktapreview.com", "okta-emea.com", "okta-gov.com")
            for path in ("", "/oauth2/*")
        ),
    ),
    Issuer("OneLogin", ("*.onelogin.com/oidc/2",)),
    Issuer("Oracle Cloud Infrastructure", ("*.identity.oraclecloud.com",)),
    Issuer("PingOne", ("auth.pingone.*/*/as",)),
    Issuer("Scalr (own domain)", ("*.scalr.io",), subjects="account:*"),
    Issuer("Semaphore", ("*.semaphoreci.com",)),
    Issuer("Spacelift", ("*.app.spacelift.io", "*.app.us.spacelift.io")),
    Issuer("Supabase", ("*.supabase.co/auth/v1",)),
    Issuer("Teleport", ("*.teleport.sh",)),
    Issuer("Vercel", ("oidc.vercel.com/*",), subjects="owner:*"),
)
"""The first row that matches counts: single tenants that many customers share come before the private ones."""


@lru_cache(maxsize=1024)
def find_issuer(url: str) -> Issuer | None:
    """Find the row of an issuer; None where the table has none.

    Args:
        url: The issuer's URL without `https://`, as in the ARN of its provider and in its condition keys.
    """
    normalized = url.lower().rstrip("/")
    return next((issuer for issuer in ISSUERS if any(_is_of_form(form, normalized) for form in issuer.urls)), None)


def _is_of_form(form: str, url: str) -> bool:
    """Match segment by segment, so that `*` matches no slash; no segment may be empty."""
    patterns, segments = form.split("/"), url.split("/")
    if patterns[-1] == "**":
        patterns, segments = patterns[:-1], segments[: len(patterns) - 1] if len(segments) >= len(patterns) else []
    return len(patterns) == len(segments) and all(
        segment and matches(pattern, segment) for pattern, segment in zip(patterns, segments, strict=True)
    )
