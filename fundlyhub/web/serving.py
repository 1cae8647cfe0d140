"""Serves an ASGI app with uvicorn, until it is told to stop."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from threading import Event, Thread
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from fundlyhub.web.connections import CONNECTIONS, Networks, bounded, is_in

TRUSTED = "fundlyhub.trusted"
"""In the scope: whether the connection comes from a trusted proxy, so that its headers may be believed."""
TICK = 1.0
"""Seconds between two looks of a server at the time of day, which its answers carry."""


def serve(app: ASGIApp, *, host: str, port: int, proxies: Networks, stop: Event) -> None:
    """Serve until ``stop``, SIGTERM or Ctrl-C. ``proxies`` are believed about who calls.

    uvicorn hears signals by itself, but neither SIGHUP nor what comes before it starts. Its access log is off: it would
    print tokens that stand in addresses.
    """
    config = uvicorn.Config(
        _Proxied(app, proxies), host=host, port=port, http=bounded(proxies), limit_concurrency=CONNECTIONS,
        access_log=False, log_config=None, proxy_headers=False,
    )  # fmt: skip
    server = _Server(config)

    def hand_on() -> None:
        stop.wait()
        server.end()

    Thread(target=hand_on, name="stop", daemon=True).start()
    gc.collect()
    gc.freeze()  # all that is loaded stays: else each full collection looks through it, for a tenth of a second
    server.run()


class _Server(uvicorn.Server):
    """Sleeps between two ticks until it is woken.

    uvicorn's own server looks ten times a second whether it is to end: a fifth of a percent of a core, for nothing.
    """

    _sleeping: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    async def main_loop(self) -> None:
        """Answer until it is told to end."""
        _, woken = self._sleeping = asyncio.get_running_loop(), asyncio.Event()
        while not await self.on_tick(0):  # of 0 and each tenth tick uvicorn takes the time of day
            with suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), TICK)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Hear a signal."""
        super().handle_exit(sig, frame)
        self.end()

    def end(self) -> None:
        """Answer what has begun, and end. Safe to call from a signal and from other threads."""
        self.should_exit = True
        if self._sleeping is not None:
            loop, woken = self._sleeping
            with suppress(RuntimeError):  # the loop is closed: it has ended
                loop.call_soon_threadsafe(woken.set)


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
