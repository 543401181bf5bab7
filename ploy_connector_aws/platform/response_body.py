"""Reading the body of an answer within bounds: at most one gzip coding, measured while it is inflated."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import httpx

_LARGEST_ANSWER = 64 * 1024 * 1024
_PIECE = 1024 * 1024
_GZIP = 31
"""zlib's ``wbits`` for a gzip stream."""


def read_body(response: httpx.Response) -> bytes:
    """Read a body within bounds. httpx would inflate it as often as its header states, to any size."""
    codings = [each.lower() for each in response.headers.get_list("content-encoding", split_commas=True)]
    codings = [each for each in codings if each not in ("", "identity")]
    if codings not in ([], ["gzip"]):
        raise httpx.DecodingError("the answer has a compression that was not requested", request=response.request)
    if response.is_stream_consumed:  # by the transport, and decoded
        pieces: Iterator[bytes] = response.iter_bytes()
    else:
        pieces = _inflated(response) if codings else response.iter_raw()
    body = bytearray()
    for piece in pieces:
        body += piece
        _require_fit(response, len(body))
    return bytes(body)


def _inflated(response: httpx.Response) -> Iterator[bytes]:
    inflating = zlib.decompressobj(_GZIP)
    try:
        for packed in response.iter_raw():
            # Blocks without output count as well.
            _require_fit(response, response.num_bytes_downloaded)
            while packed:
                yield inflating.decompress(packed, _PIECE)
                packed = inflating.unconsumed_tail
    except zlib.error:
        raise httpx.DecodingError("the answer is not a gzip stream", request=response.request) from None
    if not inflating.eof or inflating.unused_data:
        raise httpx.DecodingError("the answer is not one complete gzip stream", request=response.request)


def _require_fit(response: httpx.Response, size: int) -> None:
    if size > _LARGEST_ANSWER:
        raise httpx.DecodingError("the answer is larger than the contract allows", request=response.request)
