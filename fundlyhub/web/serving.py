"""Serves an ASGI app with uvicorn, until it is told to stop."""

from __future__ import annotations

from threading import Event, Thread

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from fundlyhub.web.connections import CONNECTIONS, Networks, bounded, is_in

TRUSTED = "fundlyhub.trusted"
"""In the scope: whether the connection comes from a trusted proxy, so that its headers may be believed."""


def serve(app: ASGIApp, *, host: str, port: int, proxies: Networks, stop: Event) -> None:
    """Serve until ``stop``, SIGTERM or Ctrl-C. ``proxies`` are believed about who calls.

    uvicorn hears signals by itself, but neither SIGHUP nor what comes before it starts. Its access log is off: it would
    print tokens that stand in addresses.
    """
    config = uvicorn.Config(
        _Proxied(app, proxies), host=host, port=port, http=bounded(proxies), limit_concurrency=CONNECTIONS,
        access_log=False, log_config=None, proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)

    def hand_on() -> None:
        stop.wait()
        server.should_exit = True

    Thread(target=hand_on, name="stop", daemon=True).start()
    server.run()


class _Proxied:
    """Notes whether a trusted proxy calls, before uvicorn's own middleware puts the proxy's client in its place."""

    def __init__(self, app: ASGIApp, proxies: Networks) -> None:
        self._proxies = proxies
        trusted = [str(one) for one in proxies]
        self._app: ASGIApp = ProxyHeadersMiddleware(app, trusted) if proxies else app  # type: ignore[arg-type, assignment]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        scope[TRUSTED] = client is not None and is_in(client[0], self._proxies)
        await self._app(scope, receive, send)
