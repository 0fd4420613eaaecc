"""The life of one Ingress: kubectl creates it, external-dns tells dtkdns, the name resolves and answers."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

import treq
from attrs import define, field
from twisted.internet.threads import deferToThread
from twisted.web.client import Agent

from dtkdns.smoke.lookup import advice_for_the_resolver, resolved
from dtkdns.smoke.report import FaultError, Report
from dtkdns.smoke.webhook import Document, Webhook, cause_of

KUBECTL_SECONDS = 5.0
"""What kubectl may take beyond one request."""
PREFIXES = ("external-dns.alpha.kubernetes.io/", "external-dns.kubernetes.io/")
"""Of annotations: the second from v0.22."""


class _KubectlError(FaultError):
    """kubectl has refused."""


@define
class IngressLife:
    """An Ingress with a host that nobody has, created, called, and deleted."""

    webhook: Webhook
    report: Report
    host: str
    kubectl_options: Sequence[str]
    port: int
    """Where the cluster's ingress controller listens."""
    _name: str = field(init=False)
    _created: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._name = self.host.partition(".")[0]

    async def run(self) -> None:
        """Go through the whole life; the Ingress and its name are removed whatever happens."""
        go = self.report.go
        held = deleted = False
        try:
            held = await go(
                [
                    ("kubectl creates an Ingress", self._create),
                    ("its host resolves", self._find),
                    ("its host answers", self._request),
                ]
            )
        finally:
            if self._created:
                deleted = await go([("kubectl deletes the Ingress", self._delete)], always=True)
        if self._created:
            if held and deleted:
                await go([("its host no longer resolves", self._miss)])
            await go([("nothing of it is left in dtkdns", self._forget)], always=True)

    def _manifest(self) -> bytes:
        backend = {"service": {"name": "dtkdns-smoke", "port": {"number": 80}}}
        path = {"path": "/", "pathType": "Prefix", "backend": backend}
        annotations = {f"{prefix}target": self.host for prefix in PREFIXES}
        return json.dumps(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "Ingress",
                "metadata": {"name": self._name, "annotations": annotations},
                "spec": {"rules": [{"host": self.host, "http": {"paths": [path]}}]},
            }
        ).encode()

    async def _kubectl(self, *arguments: str, stdin: bytes = b"") -> None:
        """Run it, in a session of its own: Ctrl-C ends this script and not it. Raises `FaultError`."""
        seconds = self.webhook.call_seconds
        bound = f"--request-timeout={max(1, round(seconds))}s"
        try:
            done = await deferToThread(
                subprocess.run,
                ["kubectl", *self.kubectl_options, bound, *arguments],
                input=stdin,
                capture_output=True,
                start_new_session=True,
                timeout=seconds + KUBECTL_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise _KubectlError("There is no kubectl here.", "Install kubectl, or leave out --ingress.") from error
        except subprocess.TimeoutExpired as error:
            wrong = f"kubectl does not end within {error.timeout:g} s."
            raise FaultError(wrong, "Does the cluster's API answer (kubectl version)?") from error
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).decode("utf-8", "replace").split())
            raise _KubectlError(f"kubectl says: {said}", "Give --kubeconfig FILE of the cluster, and --namespace.")

    async def _create(self) -> str:
        self._created = True
        try:
            await self._kubectl("create", "-f", "-", stdin=self._manifest())
        except _KubectlError:
            self._created = False
            with suppress(FaultError):  # its request may have been late
                await self._kubectl(*self._deletion)
            raise
        return self.host

    @property
    def _deletion(self) -> tuple[str, ...]:
        return "delete", "ingress", self._name, "--ignore-not-found", "--wait=false"

    async def _find(self) -> str:
        begun = time.monotonic()

        async def look() -> str | None:
            return ", ".join(await resolved(self.host)) or None

        async def late() -> FaultError:
            wrong = f"{self.host} does not resolve after {self.report.seconds:g} s."
            if await self._stored():
                return FaultError(f"{wrong} dtkdns has it.", advice_for_the_resolver())
            return FaultError(
                f"{wrong} external-dns has not sent it.",
                "Does external-dns run (kubectl get pods -A), with this URL as --webhook-provider-url and with"
                " --source=ingress? It reads the managed domains at its start only: restart it.",
            )

        found = await self.report.until(look, late)
        return f"{found} after {time.monotonic() - begun:.1f} s"

    def _url(self) -> str:
        return f"http://{self.host}/" if self.port == 80 else f"http://{self.host}:{self.port}/"

    async def _request(self) -> str:
        url = self._url()
        agent = Agent(self.webhook.reactor, connectTimeout=self.webhook.call_seconds)
        try:
            response = await treq.get(url, agent=agent, allow_redirects=False, timeout=self.webhook.call_seconds)
            await treq.content(response).addTimeout(self.webhook.call_seconds, self.webhook.reactor)
        except Exception as error:
            cause = cause_of(error)
            raise FaultError(
                f"{url} does not answer: {str(cause).rstrip('.') or type(cause).__name__}.",
                f"Does the ingress controller listen there, and is GET {self.webhook.url}/clusterip its address?",
            ) from error
        return f"{url} says {response.code}"

    async def _delete(self) -> str:
        await self.report.remove(lambda: self._kubectl(*self._deletion), f"kubectl delete ingress {self._name}")
        return ""

    async def _miss(self) -> str:
        begun = time.monotonic()

        async def look() -> str | None:
            return None if await resolved(self.host) else ""

        async def late() -> FaultError:
            return FaultError(
                f"{self.host} still resolves after {self.report.seconds:g} s.",
                "external-dns deletes names under policy sync only: set 'policy: sync' in the chart's values"
                " (--policy=sync).",
            )

        await self.report.until(look, late)
        return f"after {time.monotonic() - begun:.1f} s"

    async def _stored(self) -> list[Document]:
        """Its records, those that only tell the owner among them."""
        return [one for one in await self.webhook.records() if self._name in str(one.get("dnsName"))]

    async def _forget(self) -> str:
        """Remove what external-dns has left behind (policy `upsert-only`)."""
        left: list[Document] = []

        async def forget() -> None:
            left[:] = await self._stored()
            if left:
                await self.webhook.apply(delete=left)

        await self.report.remove(forget, f"curl -X DELETE {self.webhook.url}/names/{self.host}")
        return f"{len(left)} records removed" if left else ""
