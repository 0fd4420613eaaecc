"""What external-dns' Helm chart is given: the values, and the text of a file with them."""

from __future__ import annotations

import ipaddress
import textwrap
from typing import Any
from urllib.parse import quote

import yaml
from attrs import field, frozen

from dtkdns.cluster import DEFAULT
from dtkdns.names import is_hostname, to_ascii

COLUMNS = 80
"""That a comment is wide at most."""
SIDECAR_KEYS = (
    "image",
    "env",
    "args",
    "extraVolumeMounts",
    "resources",
    "securityContext",
    "livenessProbe",
    "readinessProbe",
    "service",
    "serviceMonitor",
)
"""All that the chart's own values say of the webhook's container, in 1.15 to 1.21: without any it makes none."""
OLD_PREFIX = "external-dns.alpha.kubernetes.io/"
"""Of annotations, as external-dns reads them up to v0.21."""

HEADER = """\
Values for external-dns' Helm chart, from dtkdns. In Desktop Kubernetes they are the whole of \
scripts/addons/external-dns/values.yaml. Elsewhere:

helm upgrade --install external-dns CHART \\
  --namespace external-dns --create-namespace --values FILE

Helm 4 takes no script as --post-renderer, and with these values none is needed: delete that line from \
scripts/addons/external-dns/install. Helm 3 may keep it.
"""
COMMENTS = {
    "provider": (
        "The webhook is dtkdns, outside the cluster. What the chart would say of a container for it is taken back:"
        " then there is none."
    ),
    "extraArgs": (
        "Desktop Kubernetes writes this list anew, with the URL from its config.yaml: flags of your own would be"
        " lost here."
    ),
    "interval": "The way to see a new Ingress soonest. Raise it where there are tens of thousands of names.",
    "logLevel": "At level info there is a line for every look.",
    "policy": "Without it a name is never deleted.",
    "txtOwnerId": (
        "Of this cluster alone. A name that came under another id stays when its Ingress goes, until dtkdns forget"
        " NAME --cluster {cluster}; one that is still wanted then comes again at once."
    ),
    "sources": (
        "Add gateway-httproute for HTTPRoutes of the Gateway API (nginx-gateway-fabric), where its CRDs are"
        " installed: else external-dns ends itself after a minute. Add service for annotated Services."
    ),
    "annotationPrefix": (
        "From v0.22 external-dns reads another prefix, and the old one no more; this keeps the old one. Charts"
        " before 1.20 do not know it and do not need it."
    ),
}
"""Why a value is as it is, by its key."""


@frozen
class Webhook:
    """Where external-dns calls dtkdns."""

    host: str
    """A name or an address, as a URL has it: IPv6 in brackets."""
    port: int
    cluster: str = DEFAULT
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    scheme: str = "http"

    @property
    def url(self) -> str:
        """With user and secret, in which nothing is left that a URL, YAML or Helm would read otherwise."""
        userinfo = ""
        if self.credentials is not None:
            userinfo = ":".join(quote(part, safe="") for part in self.credentials) + "@"
        base = "" if self.cluster == DEFAULT else f"/clusters/{self.cluster}"
        return f"{self.scheme}://{userinfo}{self.host}:{self.port}{base}"


def url_host(text: str) -> str | None:
    """A name or an address as a URL has it; None where it can stand in none."""
    try:
        address = ipaddress.ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        name = to_ascii(text)
        return name if is_hostname(name) else None
    if "%" in str(address):  # a zone means something on one machine only
        return None
    return f"[{address}]" if address.version == 6 else str(address)


def values_for(webhook: Webhook) -> dict[str, Any]:
    """The values, as the schema of the chart has them."""
    return {
        "provider": {"name": "webhook", "webhook": dict.fromkeys(SIDECAR_KEYS)},
        "extraArgs": [f"--webhook-provider-url={webhook.url}"],
        "interval": "1s",
        "logLevel": "warning",
        "policy": "sync",
        "registry": "txt",
        "txtOwnerId": f"dtkdns-{webhook.cluster}",
        "sources": ["ingress"],
        "annotationPrefix": OLD_PREFIX,
    }


def text(webhook: Webhook) -> str:
    """The values as a file, with what a person must know of them."""
    parts = [_comment(HEADER)]
    for key, value in values_for(webhook).items():
        if key in COMMENTS:
            parts.append("\n" + _comment(COMMENTS[key].format(cluster=webhook.cluster)))
        parts.append(yaml.safe_dump({key: value}, default_flow_style=False, sort_keys=False, width=10**6))
    return "".join(parts)


def _comment(words: str) -> str:
    lines: list[str] = []
    for paragraph in words.splitlines():
        wrapped = textwrap.wrap(paragraph, COLUMNS - 2, break_long_words=False, break_on_hyphens=False)
        lines += [f"# {line}" for line in wrapped] or ["#"]
    return "\n".join(lines) + "\n"
