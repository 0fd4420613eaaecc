"""All routes behind one HTTP server."""

from __future__ import annotations

from klein import Klein
from twisted.internet.interfaces import IReactorTime

from dtkdns.overview import Overview
from dtkdns.provider import Provider
from dtkdns.web.errors import handle_errors
from dtkdns.web.gate import Gate
from dtkdns.web.management import add_management
from dtkdns.web.metrics import Metrics
from dtkdns.web.probes import add_probes
from dtkdns.web.server import WebhookSite
from dtkdns.web.webhook import add_webhook


def make_app(gate: Gate, provider: Provider, overview: Overview, metrics: Metrics, clock: IReactorTime) -> Klein:
    """The routes."""
    app = Klein()
    add_webhook(app, provider, overview.passes, clock)
    add_management(app, gate, provider, clock)
    add_probes(app, gate, overview, metrics)
    handle_errors(app)
    return app


def make_site(
    gate: Gate, provider: Provider, overview: Overview, clock: IReactorTime, *, debug: bool = False
) -> WebhookSite:
    """The server's side of HTTP connections."""
    metrics = Metrics(overview)
    app = make_app(gate, provider, overview, metrics, clock)
    return WebhookSite(app.resource(), gate, metrics, clock, debug=debug)
