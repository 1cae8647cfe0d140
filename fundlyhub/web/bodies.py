"""Bodies of requests, within bounds of size and time."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from fundlyhub.web.refusals import Refusal

BODY_TIME = 30.0
"""Seconds for a body to arrive."""


async def read_body(request: Request, largest: int) -> bytes:
    """The whole body, of at most so many bytes. Raises Refusal if it is too large or too slow."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIME):
            async for part in request.stream():
                body += part
                if len(body) > largest:
                    raise Refusal(413, f"the body has more than {largest} bytes")
    except TimeoutError:
        raise Refusal(408, "the body did not arrive in time") from None
    return bytes(body)
