"""Is the caller who the signature says: Signature Version 4 over the raw request."""

from __future__ import annotations

import hashlib
import hmac

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from ploy_connector_aws.sandbox.aws.requests import HttpRequest, Signature

# Amazon S3 signs its paths unnormalised; every other service alike.
SIGNERS: dict[str, type[SigV4Auth]] = {"s3": S3SigV4Auth}
_HASHED_BY_CALLER = frozenset({"UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})


def is_signed_with(request: HttpRequest, signature: Signature, secret_access_key: str) -> bool:
    """True when this request, byte for byte, was signed with this secret.

    Unlike AWS, the age of the signature is not checked: the local AWS may run by another clock.
    """
    if not {"host", "x-amz-date"} <= set(signature.signed_headers) & request.headers.keys():
        return False
    claimed = request.headers.get("x-amz-content-sha256")
    if claimed and claimed not in _HASHED_BY_CALLER and claimed != hashlib.sha256(request.body).hexdigest():
        return False
    headers = {name: request.headers.get(name, "") for name in signature.signed_headers}
    if claimed:
        headers["x-amz-content-sha256"] = claimed
    url = f"http://{request.headers.get('host', '')}{request.target}"
    signed = AWSRequest(method=request.method, url=url, headers=headers, data=request.body)
    signed.context["timestamp"] = request.headers["x-amz-date"]
    credentials = Credentials(signature.access_key_id, secret_access_key)
    signer = SIGNERS.get(signature.scope, SigV4Auth)(credentials, signature.scope, signature.region)
    expected = signer.signature(signer.string_to_sign(signed, signer.canonical_request(signed)), signed)
    return hmac.compare_digest(str(expected), signature.value)
