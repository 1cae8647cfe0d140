"""`fundlyhub webhooks`: take up what providers tell, and serve the unsubscribe page."""

from __future__ import annotations

import logging

import click

from fundlyhub.cli.options import host_option, port_option, verbose_option
from fundlyhub.cli.wiring import stop_on_signals
from fundlyhub.database import get_engine
from fundlyhub.database.revisions import require_current
from fundlyhub.errors import WrongUse
from fundlyhub.observability.logs import configure
from fundlyhub.settings import get_settings

log = logging.getLogger("fundlyhub.webhooks")


@click.command("webhooks")
@host_option
@port_option(8010)
@click.option(
    "--behind-proxy",
    is_flag=True,
    help="Trust X-Forwarded-For of a proxy on this machine, beside FUNDLYHUB_TRUSTED_PROXIES.",
)
@verbose_option
def command(host: str, port: int, behind_proxy: bool, verbose: bool) -> None:
    """Receive SendGrid's events and Twilio's callbacks, and serve the unsubscribe page, until SIGTERM or Ctrl-C."""
    settings = get_settings()
    settings.secret  # noqa: B018  # better said before anything is loaded
    try:
        from fundlyhub.web.connections import networks
        from fundlyhub.web.serving import serve
        from fundlyhub.webhooks.app import make_app
        from fundlyhub.webhooks.background import TakingUp
    except ImportError:
        raise WrongUse('webhooks need their extra: pip install "fundlyhub[webhooks]"') from None
    stop = stop_on_signals()
    configure(logging.DEBUG if verbose else logging.INFO)
    taking_up = TakingUp(get_engine("app"))
    app = make_app(settings, get_engine("app"), taking_up.wake)
    require_current("app")
    if not settings.sendgrid_webhook_key:
        log.warning("FUNDLYHUB_SENDGRID_WEBHOOK_KEY is not set: SendGrid's events are not taken up")
    if not settings.twilio_auth_token:
        log.warning("FUNDLYHUB_TWILIO_AUTH_TOKEN is not set: Twilio's callbacks are not taken up")
    proxies = networks(settings.trusted_proxies + (",127.0.0.0/8,::1" if behind_proxy else ""))
    with taking_up:
        serve(app, host=host, port=port, proxies=proxies, stop=stop)
