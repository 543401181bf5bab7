"""A customer of the local AWS in tests: boto3 clients over real HTTP, and errors as comparable values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from ploy_connector_aws.sandbox.aws import Document, SandboxAws, fresh_account_id

REGION = "eu-west-1"
EXTERNAL_ID = "8f9c2f0e-5a37-4a5e-9b6e-0d6a3c2f7b11"
_session = boto3.Session(region_name=REGION)


def allow(*actions: str, resource: str | list[str] = "*", **condition: Any) -> Document:
    return policy({"Effect": "Allow", "Action": list(actions), "Resource": resource, **condition})


def policy(*statements: Mapping[str, Any]) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}


EVERYTHING = allow("*")


@dataclass(frozen=True)
class Denied:
    """An error answer, without what differs from run to run."""

    code: str
    status: int
    message: str
    members: dict[str, Any] = field(default_factory=dict)


def refusal(call: Callable[..., Any], **parameters: Any) -> Denied:
    """The error that a call is answered with; fails when it is answered otherwise."""
    try:
        call(**parameters)
    except ClientError as error:
        response: dict[str, Any] = dict(error.response)
        metadata, body = response.pop("ResponseMetadata"), response.pop("Error")
        assert len(metadata["RequestId"]) == 36
        extra = {
            key: value for key, value in response.items() if key not in ("message", "Message", "RequestId", "Type")
        }
        return Denied(body["Code"], metadata["HTTPStatusCode"], body["Message"], extra)
    raise AssertionError("The call was answered.")


@dataclass
class Customer:
    """One AWS account with a role for Ploy in it."""

    aws: SandboxAws
    account_id: str = field(default_factory=fresh_account_id)
    clients: list[Any] = field(default_factory=list)

    def client(self, service: str, credentials: Mapping[str, str], region: str = REGION, attempts: int = 1) -> Any:
        made = _session.client(
            service,
            endpoint_url=self.aws.endpoint_url,
            region_name=region,
            config=Config(parameter_validation=False, retries={"total_max_attempts": attempts, "mode": "standard"}),
            **credentials,
        )
        self.clients.append(made)
        return made

    @property
    def ploy(self) -> dict[str, str]:
        key = self.aws.caller_credentials
        return {"aws_access_key_id": key.access_key_id, "aws_secret_access_key": key.secret_access_key}

    @property
    def sts(self) -> Any:
        return self.client("sts", self.ploy)

    def role(self, permissions: Document = EVERYTHING, **options: Any) -> str:
        return self.aws.create_integration_role(self.account_id, EXTERNAL_ID, policy=permissions, **options)

    def assume(self, role_arn: str, **options: Any) -> dict[str, str]:
        """The credentials of a new session, as boto3 takes them."""
        asked = {"RoleSessionName": "ploy-sync-1", "ExternalId": EXTERNAL_ID, **options}
        return as_credentials(self.sts.assume_role(RoleArn=role_arn, **asked))

    def session(self, service: str, permissions: Document = EVERYTHING, **options: Any) -> Any:
        """A client of a session of a new role with these permissions."""
        return self.client(service, self.assume(self.role(permissions), **options))


def as_credentials(answer: Mapping[str, Any]) -> dict[str, str]:
    made = answer["Credentials"]
    return {
        "aws_access_key_id": made["AccessKeyId"],
        "aws_secret_access_key": made["SecretAccessKey"],
        "aws_session_token": made["SessionToken"],
    }
