"""`fundlyhub console`: the operators' console in a browser, and who may use it."""

from __future__ import annotations

import logging
from ipaddress import ip_address

import click

from fundlyhub.cli.console.tokens import token
from fundlyhub.cli.console.users import EXTRA, link, user
from fundlyhub.cli.databases import transaction
from fundlyhub.cli.options import host_option, port_option, verbose_option
from fundlyhub.cli.output import say
from fundlyhub.cli.wiring import known_processors, stop_on_signals
from fundlyhub.database.revisions import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.observability.logs import configure
from fundlyhub.settings import BRANCHES, get_settings


@click.group("console", invoke_without_command=True)
@host_option
@port_option(8020)
@click.option("--behind-proxy", is_flag=True, help="Trust a proxy on this machine, beside FUNDLYHUB_TRUSTED_PROXIES.")
@verbose_option
@click.pass_context
def command(context: click.Context, host: str, port: int, behind_proxy: bool, verbose: bool) -> None:
    """Serve the operators' console until SIGTERM or Ctrl-C.

    Add users first: `fundlyhub console user add NAME`. Without users it listens on 127.0.0.1 alone.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        from fundlyhub.console import users
        from fundlyhub.console.app import make_app
        from fundlyhub.web.connections import networks
        from fundlyhub.web.serving import serve
    except ImportError:
        raise WrongUse(EXTRA) from None
    stop = stop_on_signals()
    configure(logging.DEBUG if verbose else logging.INFO)
    settings = get_settings()
    for branch in BRANCHES:
        require_current(branch)
    with transaction("events") as db:
        nobody = not users.listed(db)
    if nobody and not _is_loopback(host):
        raise WrongUse(f"there are no users yet, so it does not listen on {host}: `fundlyhub console user add NAME`")
    app = make_app(settings, dict(known_processors()), stop)
    proxies = networks(settings.trusted_proxies + (",127.0.0.0/8,::1" if behind_proxy else ""))
    say(f"The console is at http://{f'[{host}]' if ':' in host else host}:{port}/", err=True)
    serve(app, host=host, port=port, proxies=proxies, stop=stop)


command.add_command(user)
command.add_command(link)
command.add_command(token)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
