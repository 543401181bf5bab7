"""The connector for AWS: its manifest, and hook implementations that hand over to ``aws``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from functools import partial
from typing import Any, ClassVar, Protocol

from . import __version__
from .aws.client.external_id_proof import ExternalIdProof, proof_for
from .aws.features import FEATURES, make_permissions
from .aws.setup import make_wizard
from .config import AwsConfig, config_schema
from .spec import (
    SPEC_VERSION,
    AccessChange,
    AccessRequest,
    ConfigurationError,
    ConnectionReport,
    ConnectorContext,
    ConnectorError,
    Manifest,
    Page,
    Progress,
    hookimpl,
)


class _Reader(Protocol):
    """One sync's reading, as ``aws`` makes it."""

    def read_accounts(self, skip: Set[str]) -> Iterator[Page]: ...
    def read_entitlements(self, skip: Set[str]) -> Iterator[Page]: ...
    def read_resources(self, skip: Set[str]) -> Iterator[Page]: ...
    def close(self) -> None: ...


class _Changer(Protocol):
    """Who grants and revokes, as ``aws`` makes it."""

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
        description="Who can enter which AWS account, by which path: IAM Identity Center's users, groups, permission "
        "sets and assignments, IAM's users, groups, roles and policies, and the resources of seven services, read "
        "through an assumed role. Puts people into groups and takes them out, on order.",
        config_schema=config_schema(),
        features=FEATURES,
        permissions=make_permissions(),
        wizard=make_wizard(),
    )

    def __init__(self) -> None:
        self._config: AwsConfig | None = None
        self._context = ConnectorContext()
        self._reader: _Reader | None = None
        self._changer: _Changer | None = None
        self._proof: ExternalIdProof | None = None

    @hookimpl
    def configure(self, config: Mapping[str, Any], context: ConnectorContext) -> None:
        """Check the settings."""
        self._context = context
        if self._changer is not None:
            self._changer.close()
            self._changer = None
        self._config = AwsConfig.from_settings(config)
        # A role, or an external ID, that has changed is another question: nothing is known of it.
        self._proof = proof_for(self._config, self._context.organisation)

    @hookimpl
    def test_connection(self, progress: Progress) -> ConnectionReport:
        """Enter the role, prove its external ID, try every permission, and weigh the role's own policies."""
        from .aws.connection_test import run_connection_test

        with _only_our_errors():
            config, proof = self._configured()
            return proof.record(partial(run_connection_test, config, progress=progress, context=self._context))

    @hookimpl
    def list_accounts(self, skip: Set[str]) -> Iterator[Page]:
        """Begin a sync: find the instance and read the people, then IAM."""
        with _only_our_errors():
            self._close_reader()
            self._reader = self._new_reader()
            return _guarded(self._reader.read_accounts(skip))

    @hookimpl
    def list_entitlements(self, skip: Set[str]) -> Iterator[Page]:
        """Go on with the sync that ``list_accounts`` began, or begin one: groups, permission sets, assignments."""
        with _only_our_errors():
            self._reader = self._reader or self._new_reader()
            return _guarded(self._reader.read_entitlements(skip))

    @hookimpl
    def list_resources(self, skip: Set[str]) -> Iterator[Page]:
        """End the sync that the other lists began, or make one of this list alone: S3, DynamoDB, SQS and others."""
        with _only_our_errors():
            reader, self._reader = self._reader or self._new_reader(), None
            return _guarded(reader.read_resources(skip))

    @hookimpl
    def grant(self, request: AccessRequest) -> AccessChange:
        """Put a person into a group, or, where the settings allow it, assign one to a permission set."""
        with _only_our_errors():
            return self._ready_changer().grant(request)

    @hookimpl
    def revoke(self, request: AccessRequest) -> AccessChange:
        """Take a person out of a group, or an assignment away."""
        with _only_our_errors():
            return self._ready_changer().revoke(request)

    def _ready_changer(self) -> _Changer:
        from .aws.provisioning.provisioner import Provisioner

        config, proof = self._configured()
        if self._changer is None:
            self._changer = Provisioner(config, _admission(config, proof), context=self._context)
        return self._changer

    def _configured(self) -> tuple[AwsConfig, ExternalIdProof]:
        if self._config is None or self._proof is None:
            raise ConfigurationError("The connector was called before it was given its settings.")
        return self._config, self._proof

    def _new_reader(self) -> _Reader:
        from .aws.reader import AwsReader

        config, proof = self._configured()
        return AwsReader(config, _admission(config, proof), self._context)

    def _close_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def _admission(config: AwsConfig, proof: ExternalIdProof) -> Callable[[], None]:
    """What keeps the role from being used before it is proven that nobody else can use it."""
    from .aws.connection_test import prove_external_id

    return partial(proof.ensure, partial(prove_external_id, config))


@contextmanager
def _only_our_errors() -> Iterator[None]:
    """A host knows the errors of the specification and no others."""
    try:
        yield
    except ConnectorError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it was, its text is not trusted
        raise ConnectorError(f"The connector failed unexpectedly ({type(error).__name__}).") from None


def _guarded(pages: Iterator[Page]) -> Iterator[Page]:
    with _only_our_errors():
        yield from pages
