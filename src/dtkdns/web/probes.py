"""What dtkdns shows of itself: whether it lives, whether it is ready, its figures, its whole state."""

from __future__ import annotations

from klein import Klein
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from dtkdns.overview import Overview
from dtkdns.web import answers
from dtkdns.web.gate import Gate
from dtkdns.web.metrics import Metrics
from dtkdns.web.request import WebhookRequest


def add_probes(app: Klein, gate: Gate, overview: Overview, metrics: Metrics) -> None:
    """Add the routes that programs ask how dtkdns does."""

    @app.route("/healthz", methods=["GET"], strict_slashes=False)
    def healthz(request: WebhookRequest) -> answers.Answered:
        return answers.text(request, 200, "ok")

    @app.route("/readyz", methods=["GET"], strict_slashes=False)
    def readyz(request: WebhookRequest) -> answers.Answered:
        readiness = overview.readiness()
        code = 200 if readiness.ready else 503
        request.setHeader(b"Vary", b"Accept")
        accepted = parse_accept_header((request.getHeader(b"Accept") or b"").decode("latin-1"), MIMEAccept)
        if accepted.best_match(["text/plain", "application/json"], "text/plain") == "application/json":
            return answers.json(request, code, readiness)
        lines = [f"{part.part}: {'ok' if part.ok else 'not ok'}, {part.detail}" for part in readiness.parts]
        return answers.text(request, code, "\n".join(lines))

    @app.route("/metrics", methods=["GET"], strict_slashes=False)
    def figures(request: WebhookRequest) -> answers.Answered:
        return answers.reply(request, 200, CONTENT_TYPE_PLAIN_0_0_4.encode("ascii"), metrics.text())

    @app.route("/status", methods=["GET"], strict_slashes=False)
    def status(request: WebhookRequest) -> answers.Answered:
        gate.require_host(request.requestHeaders)
        return answers.json(request, 200, overview.status())
