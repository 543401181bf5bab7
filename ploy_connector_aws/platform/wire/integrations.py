"""Which integrations a runtime serves, and what the platform allows and wants of it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from ploy_connector_aws.spec.bounds import Count, Interval

from .bodies import Digest, RequestModel, ResponseModel


class Integration(ResponseModel):
    """One connector, enabled by one organisation with its settings. The settings hold secrets: memory only."""

    id: str
    organisation: str
    connector: str = Field(description="The name in the connector's manifest.")
    settings: dict[str, JsonValue] = Field(repr=False)
    revision: Count | None = Field(default=None, description="Of the settings: another one whenever they have changed.")


class Integrations(ResponseModel):
    """The integrations that this token may serve."""

    integrations: tuple[Integration, ...]


class IntegrationRequest(RequestModel):
    """Begin to set up an integration. While nothing was entered for it, the same request gets the same one."""

    connector: Annotated[
        str, Field(min_length=1, max_length=128, description="The name in a manifest that a runtime has sent.")
    ]


class SettingsChange(RequestModel):
    """Settings that a person entered where the runtime is, for an integration that was never in use."""

    settings: dict[str, JsonValue] = Field(
        default_factory=dict,
        repr=False,
        description="What is left out stays as it is, and null takes a setting back to its default. What the platform "
        "generates, such as an external ID, is refused.",
    )


class SetUpStatus(ResponseModel):
    """An integration, and whether it may be used."""

    integration: Integration
    is_verified: bool = Field(
        description="Whether these settings have passed a connection test that the platform asked for."
    )


class HelloRequest(RequestModel):
    """A runtime introduces itself for one integration."""

    runtime_version: str
    connector: str
    connector_version: str
    spec_version: Count
    capabilities: tuple[str, ...] = Field(description="The hooks that the connector implements.")
    config_fingerprint: Digest = Field(description="Changes when a setting changes; secrets are left out of it.")


class Limits(ResponseModel):
    """How much one batch may hold."""

    max_batch_lines: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 2000
    max_batch_bytes: Annotated[
        int, Field(strict=True, ge=1024, le=2**31, description="Before compression, line ends included.")
    ] = 1_000_000


class Flags(ResponseModel):
    """What the platform wants of the runtime now."""

    paused: bool = Field(default=False, description="Do not sync.")
    read_only: bool = Field(default=False, description="Do not grant or revoke.")
    full_requested: bool = Field(default=False, description="Send everything next time.")


class HelloAnswer(ResponseModel):
    """What the platform allows and expects."""

    limits: Limits = Limits()
    scan_interval_seconds: Interval = 900
    poll_interval_seconds: Interval = 10
    flags: Flags = Flags()
    generation: Count = Field(default=0, description="The newest committed generation; 0 before the first.")
