"""All routes behind one HTTP server."""

from __future__ import annotations

from klein import Klein
from twisted.internet.interfaces import IReactorTime

from dtkdns.provider import Provider
from dtkdns.web.channel import WebhookSite
from dtkdns.web.errors import handle_errors
from dtkdns.web.management import add_management
from dtkdns.web.webhook import add_webhook


def make_site(provider: Provider, clock: IReactorTime, *, debug: bool = False) -> WebhookSite:
    """The server's side of HTTP connections."""
    app = Klein()
    add_webhook(app, provider, clock)
    add_management(app, provider, clock)
    handle_errors(app)
    return WebhookSite(app.resource(), clock, debug=debug)
