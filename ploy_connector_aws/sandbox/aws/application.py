"""Handles one request: authentication, faults, authorization, the response, and the record of the call."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import identity_center, identity_store
from .access_denied import AwsError, ErrorKind, common_error, error_headers, not_authorized, render_error
from .accounts import Accounts
from .authorization import denial, layers_of, weigh
from .calls import Call, Calls, to_recordable
from .faults import ConnectionCutError, Faults
from .iam import answer_iam, iam_resources
from .instances import DirectoryCall, Instance, Instances
from .inventory import responses as inventory
from .paging import PAGE_FORMS, PageForm, Pager
from .principals import Credentials, Principal, Sessions, find_user_key, to_context
from .rendering import render_answer, render_query
from .requests import ApiRequest, HttpRequest, is_signed_with, to_api_request, unsupported
from .sts import NAMESPACE as STS_NAMESPACE
from .sts import SecurityTokenService, caller_identity
from .validation import check_form

JSON, XML = "application/x-amz-json-1.1", "text/xml"


@dataclass(frozen=True)
class HttpResponse:
    """A response, ready to be sent."""

    status: int
    content_type: str
    body: bytes
    request_id: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Application:
    """Handles calls. Any number of threads may call at once; a lock guards moto's state."""

    def __init__(
        self, accounts: Accounts, instances: Instances, faults: Faults, calls: Calls | None, now: Callable[[], datetime]
    ) -> None:
        self._accounts = accounts
        self._instances = instances
        self._faults = faults
        self._calls = calls
        self._now = now
        self._sessions = Sessions()
        self._sts = SecurityTokenService(self._sessions, now, accounts)

    @property
    def lock(self) -> threading.RLock:
        """Guards moto's state."""
        return self._accounts.lock

    def answer(self, request: HttpRequest) -> HttpResponse | None:
        """The response to a request; None if the connection is to be reset instead."""
        request_id = str(uuid.uuid4())
        try:
            asked = to_api_request(request)
        except AwsError as error:
            protocol = "json" if "x-amz-target" in request.headers else "query"
            return HttpResponse(error.status, *render_error(error, protocol, request_id), request_id)
        principal: Principal | None = None
        error_code: str | None = None
        response: HttpResponse | None = None
        try:
            principal = self._authenticated(request, asked)
            self._faults.inject(asked, principal.account_id)
            try:
                carried_out = self._answered(asked, principal, request_id)
            finally:
                # An error response can be lost, too.
                self._faults.inject_after(asked)
            response = carried_out
        except AwsError as error:
            error_code = error.code
            content_type, body = render_error(error, asked.protocol, request_id)
            response = HttpResponse(error.status, content_type, body, request_id, error_headers(error, asked.protocol))
        except ConnectionCutError:
            error_code = "ConnectionCut"
        self._record(asked, principal, response.status if response else 0, error_code)
        return response

    def _authenticated(self, request: HttpRequest, asked: ApiRequest) -> Principal:
        """The principal that signed this request.

        Raises:
            AwsError: an unknown key, a wrong signature, or an expired session.
        """
        signature = asked.signature
        found: Credentials | None = self._sessions.find(signature.access_key_id)
        if found is None:
            found = find_user_key(self._accounts.known(), signature.access_key_id)
        if found is None or request.headers.get("x-amz-security-token") != found.session_token:
            raise common_error(ErrorKind.UNKNOWN_KEY, asked.protocol)
        if not is_signed_with(request, signature, found.secret_access_key):
            raise common_error(ErrorKind.BAD_SIGNATURE, asked.protocol)
        if found.expires_at is not None and found.expires_at <= self._now():
            raise common_error(ErrorKind.EXPIRED, asked.protocol)
        if self._accounts.is_region_disabled(found.principal.account_id, asked.region):
            # An account's credentials are unknown in a Region that it has not enabled (AWS.md 8).
            raise common_error(ErrorKind.UNKNOWN_KEY, asked.protocol)
        return found.principal

    def _answered(self, asked: ApiRequest, principal: Principal, request_id: str) -> HttpResponse:
        with self.lock:
            if asked.service.name == "sts":
                body = render_query(asked.operation, STS_NAMESPACE, self._from_sts(asked, principal), request_id)
                return HttpResponse(200, XML, body, request_id)
            if asked.service.name == "iam":
                self._authorize(asked, principal, iam_resources(asked))
                body = answer_iam(asked, principal.account_id, self._faults.has_empty_pages(asked), request_id)
                return HttpResponse(200, XML, body, request_id)
            if asked.service.name in inventory.SERVICES:
                return HttpResponse(200, *self._from_inventory(asked, principal, request_id), request_id)
            answers = {"identitystore": self._from_identity_store, "sso-admin": self._from_identity_center}
            if asked.service.name not in answers:
                raise unsupported(f"the service {asked.service.name}")
            answer = answers[asked.service.name](asked, principal)
        return HttpResponse(200, JSON, json.dumps(answer).encode(), request_id)

    def _from_sts(self, asked: ApiRequest, principal: Principal) -> Mapping[str, Any]:
        if asked.operation == "GetCallerIdentity":
            return caller_identity(principal)
        if asked.operation == "AssumeRole":
            return self._sts.assume_role(principal, asked, self._faults.is_denied(asked))
        raise unsupported(f"the action {asked.action}")

    def _from_identity_store(self, asked: ApiRequest, principal: Principal) -> dict[str, Any]:
        operation = identity_store.OPERATIONS.get(asked.operation)
        if operation is None:
            raise unsupported(f"the action {asked.action}")
        check_form(asked.service.name, asked.operation, dict(asked.parameters))
        store_id = str(asked.parameters.get("IdentityStoreId", ""))
        instance = self._instances.by_store(store_id, principal.account_id, asked.region)
        owner = instance.owner_account_id if instance else principal.account_id
        store_arn = f"arn:aws:identitystore::{owner}:identitystore/{identity_store.bare(store_id)}"
        self._authorize(asked, principal, [*operation.resources(instance, asked.parameters), store_arn], {
            "identitystore:primaryregion": (instance.primary_region,) if instance else (),
        })  # fmt: skip
        self._authorize_key(asked, principal, instance)
        if instance is None:
            # moto creates any requested store; AWS reports it missing, here or in this Region.
            raise identity_store.not_found("IDENTITY_STORE", store_id, "IDENTITY_STORE not found.")
        if asked.parameters.get("Filters") and asked.operation != "ListGroups":
            raise unsupported("filters of users, which AWS deprecated")
        call = DirectoryCall(instance, asked.parameters, self._pager(asked), principal.account_id)
        return operation.answer(call)

    def _from_identity_center(self, asked: ApiRequest, principal: Principal) -> dict[str, Any]:
        if asked.operation == "ListInstances":
            check_form(asked.service.name, asked.operation, dict(asked.parameters))
            self._authorize(asked, principal, ["*"])
            visible = self._instances.visible_to(principal.account_id)
            return identity_center.list_instances(visible, asked.parameters, asked.region, self._pager(asked))
        operation = identity_center.OPERATIONS.get(asked.operation)
        if operation is None:
            raise unsupported(f"the action {asked.action}")
        check_form(asked.service.name, asked.operation, dict(asked.parameters))
        arn = str(asked.parameters.get("InstanceArn", ""))
        found = self._instances.by_arn(arn, principal.account_id, asked.region)
        self._authorize(asked, principal, operation.resources(asked.parameters), {
            "sso:primaryregion": (found.primary_region,) if found else (),
        })  # fmt: skip
        self._authorize_key(asked, principal, found)
        instance = identity_center.check_reach(found, asked.parameters, principal.account_id)
        instance.assigning.advance()
        call = DirectoryCall(instance, asked.parameters, self._pager(asked), principal.account_id)
        return operation.answer(call)

    def _from_inventory(self, asked: ApiRequest, principal: Principal, request_id: str) -> tuple[str, bytes]:
        operation = inventory.find_operation(asked)
        unknown = asked.parameters.keys() - operation.parameters - PAGE_FORMS[asked.service.name].parameters
        if unknown:
            raise unsupported(f"the parameter {min(unknown)} of {asked.action}")
        call = inventory.InventoryCall(asked.parameters, self._pager(asked), principal.account_id, asked.region)
        self._authorize(asked, principal, operation.resources(call))
        answer = inventory.without(operation.answer(call), self._faults.left_out(asked))
        return render_answer(asked, answer, request_id)

    def _authorize(
        self,
        asked: ApiRequest,
        principal: Principal,
        resources: Sequence[str],
        keys: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        if self._faults.is_denied(asked):
            reason = f"because no identity-based policy allows the {asked.action} action"
            raise not_authorized(asked.protocol, principal.arn, asked.action, resources[0], reason)
        layers = layers_of(principal, self._accounts.service_control_policies(principal.account_id))
        context = to_context(principal, self._now(), asked.region) | dict(keys or {})
        denied = denial(asked.protocol, principal, layers, asked.action, resources, context)
        if denied is not None:
            raise denied

    def _authorize_key(self, asked: ApiRequest, principal: Principal, instance: Instance | None) -> None:
        """With a customer managed key the caller needs `kms:Decrypt` by the role's and the key's policies (AWS.md 3.5).

        Raises:
            AwsError: the key may not be used; identitystore and sso-admin spell the reason differently (AWS.md 1.5).
        """
        key = instance.customer_key if instance else None
        if key is None:
            return
        layers = layers_of(principal, self._accounts.service_control_policies(principal.account_id))
        context = to_context(principal, self._now(), asked.region)
        context["kms:viaservice"] = (f"{asked.signature.scope}.{asked.region}.amazonaws.com",)
        if key.policy_lets_in and weigh(layers, "kms:Decrypt", key.arn, context).is_allowed:
            return
        reason = "KMS_ACCESS_DENIED" if asked.service.name == "identitystore" else "KMS_AccessDeniedException"
        raise common_error(ErrorKind.ACCESS_DENIED, asked.protocol, members={"Reason": reason})

    def _pager(self, asked: ApiRequest) -> Pager:
        form = PAGE_FORMS.get(asked.service.name, PageForm())
        return Pager(asked.operation, asked.parameters, self._faults.has_empty_pages(asked), form)

    def _record(self, asked: ApiRequest, principal: Principal | None, status: int, error_code: str | None) -> None:
        if self._calls is None:
            return
        self._calls.add(
            Call(
                service=asked.service.name,
                operation=asked.operation,
                action=asked.action,
                account_id=principal.account_id if principal else None,
                principal_arn=principal.arn if principal else None,
                session_name=principal.session_name if principal else None,
                region=asked.region,
                access_key_id=asked.signature.access_key_id,
                status=status,
                error_code=error_code,
                parameters=to_recordable(asked.parameters),
            )
        )
