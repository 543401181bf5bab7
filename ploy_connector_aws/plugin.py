"""The connector for AWS: its manifest, and thin hook implementations that call ``aws``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from functools import partial
from typing import Any, ClassVar, Protocol

from . import __version__
from .aws.client.external_id_proof import ExternalIdProof, proof_for
from .aws.features import FEATURES, make_permissions
from .aws.labels import LABELS
from .aws.setup import make_wizard
from .config import AwsConfig, config_schema
from .spec import (
    SPEC_VERSION,
    AccessChange,
    AccessRequest,
    ConfigurationError,
    ConnectionReport,
    ConnectorContext,
    Manifest,
    Page,
    Progress,
    hookimpl,
)


class _Reader(Protocol):
    """What the list hooks need of a reader in ``aws``."""

    def read_accounts(self, skip: Set[str]) -> Iterator[Page]: ...
    def read_entitlements(self, skip: Set[str]) -> Iterator[Page]: ...
    def read_resources(self, skip: Set[str]) -> Iterator[Page]: ...
    def close(self) -> None: ...


class _Provisioner(Protocol):
    """What the hooks for grants and revokes need of a provisioner in ``aws``."""

    def grant(self, request: AccessRequest) -> AccessChange: ...
    def revoke(self, request: AccessRequest) -> AccessChange: ...
    def close(self) -> None: ...


class AwsConnector:
    """One integration with one AWS account. Importing and configuring it loads no AWS library."""

    manifest: ClassVar[Manifest] = Manifest(
        name="aws",
        title="Amazon Web Services",
        version=__version__,
        spec_version=SPEC_VERSION,
        description="Reads who can enter which AWS account, and by which path: users, groups, permission sets and "
        "assignments of IAM Identity Center; users, groups, roles and policies of IAM; resources of seven services. "
        "Adds people to groups and removes them on request. Uses an assumed role.",
        config_schema=config_schema(),
        features=FEATURES,
        permissions=make_permissions(),
        labels=LABELS,
        wizard=make_wizard(),
    )

    def __init__(self) -> None:
        self._config: AwsConfig | None = None
        self._context = ConnectorContext()
        self._reader: _Reader | None = None
        self._provisioner: _Provisioner | None = None
        self._proof: ExternalIdProof | None = None

    @hookimpl
    def configure(self, config: Mapping[str, Any], context: ConnectorContext) -> None:
        """Validate the settings."""
        self._context = context
        if self._provisioner is not None:
            self._provisioner.close()
            self._provisioner = None
        self._config = AwsConfig.from_settings(config)
        # A changed role or external ID needs a proof of its own.
        self._proof = proof_for(self._config, self._context.organisation)

    @hookimpl
    def test_connection(self, progress: Progress) -> ConnectionReport:
        """Assume the role, prove its external ID, test every permission, and evaluate the role's own policies."""
        from .aws.connection_test import run_connection_test

        config, proof = self._configured()
        began = proof.begin()
        return proof.record(run_connection_test(config, progress=progress, context=self._context), began)

    @hookimpl
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:
        """Start a sync: find the instance, read the people, then IAM."""
        if self._reader is not None:
            self._reader.close()
        self._reader = self._new_reader()
        return self._reader.read_accounts(skip)

    @hookimpl
    def list_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        """Continue the sync that ``list_accounts`` started, or start one: groups, permission sets, assignments."""
        self._reader = self._reader or self._new_reader()
        return self._reader.read_entitlements(skip)

    @hookimpl
    def list_resources(self, skip: Set[str]) -> Iterator[Page]:
        """End the sync that the other lists started, or run one of this list alone: S3, DynamoDB, SQS and others."""
        reader, self._reader = self._reader or self._new_reader(), None
        return reader.read_resources(skip)

    @hookimpl
    def grant(self, request: AccessRequest) -> AccessChange:
        """Add a person to a group or, if the settings allow it, assign a permission set."""
        return self._ready_provisioner().grant(request)

    @hookimpl
    def revoke(self, request: AccessRequest) -> AccessChange:
        """Remove a person from a group, or remove an assignment."""
        return self._ready_provisioner().revoke(request)

    @hookimpl
    def close(self) -> None:
        """Close the sessions, and remove what a sync spooled."""
        for each in (self._reader, self._provisioner):
            if each is not None:
                each.close()
        self._reader = self._provisioner = None

    def _ready_provisioner(self) -> _Provisioner:
        from .aws.provisioning.provisioner import Provisioner

        config, proof = self._configured()
        if self._provisioner is None:
            self._provisioner = Provisioner(config, _precheck(config, proof), context=self._context)
        return self._provisioner

    def _configured(self) -> tuple[AwsConfig, ExternalIdProof]:
        if self._config is None or self._proof is None:
            raise ConfigurationError("The connector was called before it was configured.")
        return self._config, self._proof

    def _new_reader(self) -> _Reader:
        from .aws.reader import AwsReader

        config, proof = self._configured()
        return AwsReader(config, _precheck(config, proof), self._context)


def _precheck(config: AwsConfig, proof: ExternalIdProof) -> Callable[[], None]:
    """Return the check that must pass before the role is used: only this integration can assume it."""
    from .aws.connection_test import prove_external_id

    return partial(proof.ensure, partial(prove_external_id, config))
