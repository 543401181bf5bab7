"""The integrations of a token: settings, limits, intervals and flags."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from ploy_connector_aws.spec.bounds import Count, Interval

from .bodies import Digest, RequestModel, ResponseModel


class Integration(ResponseModel):
    """One connector that one organisation enabled, with its settings. They hold secrets: keep them in memory only."""

    id: str
    organisation: str
    connector: str = Field(description="The name in the connector's manifest.")
    settings: dict[str, JsonValue] = Field(repr=False)
    revision: Count | None = Field(default=None, description="The revision of the settings, new after every change.")


class Integrations(ResponseModel):
    """The integrations of a token."""

    integrations: tuple[Integration, ...]


class IntegrationRequest(RequestModel):
    """Begin the set-up of an integration. Until something is entered for it, the same request gets the same one."""

    connector: Annotated[
        str, Field(min_length=1, max_length=128, description="The name in a manifest that a runtime has sent.")
    ]


class SettingsChange(RequestModel):
    """Settings that a person entered at the runtime, for an integration that was never in use."""

    settings: dict[str, JsonValue] = Field(
        default_factory=dict,
        repr=False,
        description="A missing setting stays as it is, and null resets a setting to its default. A value that the "
        "platform generates, such as an external ID, is rejected.",
    )


class SetUpStatus(ResponseModel):
    """An integration, and whether it may be used."""

    integration: Integration
    is_verified: bool = Field(
        description="Whether these settings have passed a connection test that the platform requested."
    )


class HelloRequest(RequestModel):
    """Register a runtime for one integration."""

    runtime_version: str
    connector: str
    connector_version: str
    spec_version: Count
    capabilities: tuple[str, ...] = Field(description="The hooks that the connector implements.")
    config_fingerprint: Digest = Field(description="Changes when a setting changes; secrets are not part of it.")


class Limits(ResponseModel):
    """The limits of one batch."""

    max_batch_lines: Annotated[int, Field(strict=True, ge=1, le=1_000_000)] = 2000
    max_batch_bytes: Annotated[
        int, Field(strict=True, ge=1024, le=2**31, description="Before compression, line ends included.")
    ] = 1_000_000


class Flags(ResponseModel):
    """What the platform allows and requests now."""

    paused: bool = Field(default=False, description="Do not sync.")
    read_only: bool = Field(default=False, description="Do not grant or revoke.")
    full_requested: bool = Field(default=False, description="Send everything next time.")


class HelloAnswer(ResponseModel):
    """Limits, intervals and flags for the runtime."""

    limits: Limits = Limits()
    scan_interval_seconds: Interval = 900
    poll_interval_seconds: Interval = 10
    flags: Flags = Flags()
    generation: Count = Field(default=0, description="The newest committed generation; 0 before the first.")
