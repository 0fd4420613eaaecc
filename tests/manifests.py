"""Objects as a developer writes them, for the Kubernetes API."""

from __future__ import annotations

from typing import Any

ANNOTATION = "external-dns.alpha.kubernetes.io/"


def ingress(name: str, *hosts: str, address: str = "", **annotations: str) -> dict[str, Any]:
    """An Ingress for these hosts; with an address, one that a load balancer has taken up.

    Annotations are those of external-dns, without its prefix, `_` for `-`.
    """
    backend = {"service": {"name": name, "port": {"number": 80}}}
    paths = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    return _with_address(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": _metadata(name, annotations),
            "spec": {"rules": [{"host": host, "http": paths} for host in hosts]},
        },
        address,
    )


def service(name: str, *, address: str = "", external_name: str = "", **annotations: str) -> dict[str, Any]:
    """A Service of type LoadBalancer, or ExternalName where one is given."""
    spec: dict[str, Any] = {"type": "LoadBalancer", "ports": [{"port": 80}], "selector": {"app": name}}
    if external_name:
        spec = {"type": "ExternalName", "externalName": external_name}
    one = {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(name, annotations), "spec": spec}
    return _with_address(one, address)


def _metadata(name: str, annotations: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "annotations": {ANNOTATION + key.replace("_", "-"): value for key, value in annotations.items()},
    }


def _with_address(one: dict[str, Any], address: str) -> dict[str, Any]:
    if address:
        one["status"] = {"loadBalancer": {"ingress": [{"ip": address}]}}
    return one
