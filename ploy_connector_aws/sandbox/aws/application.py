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

    def answer(self, http: HttpRequest) -> HttpResponse | None:
        """The response to a request; None if the connection is to be reset instead."""
        request_id = str(uuid.uuid4())
        try:
            request = to_api_request(http)
        except AwsError as error:
            protocol = "json" if "x-amz-target" in http.headers else "query"
            return HttpResponse(error.status, *render_error(error, protocol, request_id), request_id)
        principal: Principal | None = None
        error_code: str | None = None
        response: HttpResponse | None = None
        try:
            principal = self._authenticated(http, request)
            self._faults.inject(request, principal.account_id)
            try:
                carried_out = self._answered(request, principal, request_id)
            finally:
                # An error response can be lost, too.
                self._faults.inject_after(request)
            response = carried_out
        except AwsError as error:
            error_code = error.code
            content_type, body = render_error(error, request.protocol, request_id)
            response = HttpResponse(
                error.status, content_type, body, request_id, error_headers(error, request.protocol)
            )
        except ConnectionCutError:
            error_code = "ConnectionCut"
        self._record(request, principal, response.status if response else 0, error_code)
        return response

    def _authenticated(self, http: HttpRequest, request: ApiRequest) -> Principal:
        """The principal that signed this request.

        Raises:
            AwsError: an unknown key, a wrong signature, or an expired session.
        """
        signature = request.signature
        found: Credentials | None = self._sessions.find(signature.access_key_id)
        if found is None:
            found = find_user_key(self._accounts.known(), signature.access_key_id)
        if found is None or http.headers.get("x-amz-security-token") != found.session_token:
            raise common_error(ErrorKind.UNKNOWN_KEY, request.protocol)
        if not is_signed_with(http, signature, found.secret_access_key):
            raise common_error(ErrorKind.BAD_SIGNATURE, request.protocol)
        if found.expires_at is not None and found.expires_at <= self._now():
            raise common_error(ErrorKind.EXPIRED, request.protocol)
        if self._accounts.is_region_disabled(found.principal.account_id, request.region):
            # An account's credentials are unknown in a Region that it has not enabled (AWS.md 8).
            raise common_error(ErrorKind.UNKNOWN_KEY, request.protocol)
        return found.principal

    def _answered(self, request: ApiRequest, principal: Principal, request_id: str) -> HttpResponse:
        with self.lock:
            if request.service.name == "sts":
                body = render_query(request.operation, STS_NAMESPACE, self._from_sts(request, principal), request_id)
                return HttpResponse(200, XML, body, request_id)
            if request.service.name == "iam":
                self._authorize(request, principal, iam_resources(request))
                body = answer_iam(request, principal.account_id, self._faults.has_empty_pages(request), request_id)
                return HttpResponse(200, XML, body, request_id)
            if request.service.name in inventory.SERVICES:
                return HttpResponse(200, *self._from_inventory(request, principal, request_id), request_id)
            answers = {
                "identitystore": self._from_identity_store,
                "sso-admin": self._from_identity_center,
                "organizations": self._from_organizations,
            }
            if request.service.name not in answers:
                raise unsupported(f"the service {request.service.name}")
            answer = answers[request.service.name](request, principal)
        return HttpResponse(200, JSON, json.dumps(answer).encode(), request_id)

    def _from_sts(self, request: ApiRequest, principal: Principal) -> Mapping[str, Any]:
        if request.operation == "GetCallerIdentity":
            return caller_identity(principal)
        if request.operation == "AssumeRole":
            return self._sts.assume_role(principal, request, self._faults.is_denied(request))
        raise unsupported(f"the action {request.action}")

    def _from_identity_store(self, request: ApiRequest, principal: Principal) -> dict[str, Any]:
        operation = identity_store.OPERATIONS.get(request.operation)
        if operation is None:
            raise unsupported(f"the action {request.action}")
        check_form(request.service.name, request.operation, dict(request.parameters))
        store_id = str(request.parameters.get("IdentityStoreId", ""))
        instance = self._instances.by_store(store_id, principal.account_id, request.region)
        owner = instance.owner_account_id if instance else principal.account_id
        store_arn = f"arn:aws:identitystore::{owner}:identitystore/{identity_store.bare(store_id)}"
        self._authorize(request, principal, [*operation.resources(instance, request.parameters), store_arn], {
            "identitystore:primaryregion": (instance.primary_region,) if instance else (),
        })  # fmt: skip
        self._authorize_key(request, principal, instance)
        if instance is None:
            # moto creates any requested store; AWS reports it missing, here or in this Region.
            raise identity_store.not_found("IDENTITY_STORE", store_id, "IDENTITY_STORE not found.")
        if request.parameters.get("Filters") and request.operation != "ListGroups":
            raise unsupported("filters of users, which AWS deprecated")
        call = DirectoryCall(instance, request.parameters, self._pager(request), principal.account_id)
        return operation.answer(call)

    def _from_identity_center(self, request: ApiRequest, principal: Principal) -> dict[str, Any]:
        if request.operation == "ListInstances":
            check_form(request.service.name, request.operation, dict(request.parameters))
            self._authorize(request, principal, ["*"])
            visible = self._instances.visible_to(principal.account_id)
            return identity_center.list_instances(visible, request.parameters, request.region, self._pager(request))
        operation = identity_center.OPERATIONS.get(request.operation)
        if operation is None:
            raise unsupported(f"the action {request.action}")
        check_form(request.service.name, request.operation, dict(request.parameters))
        arn = str(request.parameters.get("InstanceArn", ""))
        found = self._instances.by_arn(arn, principal.account_id, request.region)
        self._authorize(request, principal, operation.resources(request.parameters), {
            "sso:primaryregion": (found.primary_region,) if found else (),
        })  # fmt: skip
        self._authorize_key(request, principal, found)
        instance = identity_center.check_reach(found, request.parameters, principal.account_id)
        instance.assigning.advance()
        call = DirectoryCall(instance, request.parameters, self._pager(request), principal.account_id)
        return operation.answer(call)

    def _from_organizations(self, request: ApiRequest, principal: Principal) -> dict[str, Any]:
        if request.operation != "ListAccounts":
            raise unsupported(f"the action {request.action}")
        check_form(request.service.name, request.operation, dict(request.parameters), "InvalidInputException")
        self._authorize(request, principal, ["*"])
        return self._accounts.organizations.list_accounts(principal.account_id, self._pager(request))

    def _from_inventory(self, request: ApiRequest, principal: Principal, request_id: str) -> tuple[str, bytes]:
        operation = inventory.find_operation(request)
        unknown = request.parameters.keys() - operation.parameters - PAGE_FORMS[request.service.name].parameters
        if unknown:
            raise unsupported(f"the parameter {min(unknown)} of {request.action}")
        call = inventory.InventoryCall(request.parameters, self._pager(request), principal.account_id, request.region)
        self._authorize(request, principal, operation.resources(call))
        answer = inventory.without(operation.answer(call), self._faults.left_out(request))
        return render_answer(request, answer, request_id)

    def _authorize(
        self,
        request: ApiRequest,
        principal: Principal,
        resources: Sequence[str],
        keys: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        if self._faults.is_denied(request):
            reason = f"because no identity-based policy allows the {request.action} action"
            raise not_authorized(request.protocol, principal.arn, request.action, resources[0], reason)
        layers = layers_of(principal, self._accounts.service_control_policies(principal.account_id))
        context = to_context(principal, self._now(), request.region) | dict(keys or {})
        denied = denial(request.protocol, principal, layers, request.action, resources, context)
        if denied is not None:
            raise denied

    def _authorize_key(self, request: ApiRequest, principal: Principal, instance: Instance | None) -> None:
        """With a customer managed key the caller needs `kms:Decrypt` by the role's and the key's policies (AWS.md 3.5).

        Raises:
            AwsError: the key may not be used; identitystore and sso-admin spell the reason differently (AWS.md 1.5).
        """
        key = instance.customer_key if instance else None
        if key is None:
            return
        layers = layers_of(principal, self._accounts.service_control_policies(principal.account_id))
        context = to_context(principal, self._now(), request.region)
        context["kms:viaservice"] = (f"{request.signature.scope}.{request.region}.amazonaws.com",)
        if key.policy_lets_in and weigh(layers, "kms:Decrypt", key.arn, context).is_allowed:
            return
        reason = "KMS_ACCESS_DENIED" if request.service.name == "identitystore" else "KMS_AccessDeniedException"
        raise common_error(ErrorKind.ACCESS_DENIED, request.protocol, members={"Reason": reason})

    def _pager(self, request: ApiRequest) -> Pager:
        form = PAGE_FORMS.get(request.service.name, PageForm())
        return Pager(request.operation, request.parameters, self._faults.has_empty_pages(request), form)

    def _record(self, request: ApiRequest, principal: Principal | None, status: int, error_code: str | None) -> None:
        if self._calls is None:
            return
        self._calls.add(
            Call(
                service=request.service.name,
                operation=request.operation,
                action=request.action,
                account_id=principal.account_id if principal else None,
                principal_arn=principal.arn if principal else None,
                session_name=principal.session_name if principal else None,
                region=request.region,
                access_key_id=request.signature.access_key_id,
                status=status,
                error_code=error_code,
                parameters=to_recordable(request.parameters),
            )
        )
