"""Every route of the webhook exists at `/`, for the default cluster, and under `/clusters/<name>/`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from klein import Klein

from dtkdns.cluster import CLUSTER_NAME, DEFAULT
from dtkdns.provider import NotFoundError
from dtkdns.web.request import WebhookRequest

Handler = TypeVar("Handler", bound=Callable[..., Any])


def on_every_cluster(app: Klein, path: str, method: str, *, at_root: bool = True) -> Callable[[Handler], Handler]:
    """Route a path to a handler that takes the request, the cluster's name, and what the path holds.

    Without `at_root` the default cluster has to be named like any other.
    """

    def add(handler: Handler) -> Handler:
        def with_cluster(request: WebhookRequest, cluster: str = DEFAULT, **parts: str) -> Any:
            if CLUSTER_NAME.fullmatch(cluster) is None:
                raise NotFoundError("A cluster's name is 1 to 63 of a-z, 0-9 and hyphen.")
            return handler(request, cluster, **parts)

        for number, base in enumerate(["/clusters/<cluster>", *([""] if at_root else [])]):
            with_cluster.__name__ = f"{handler.__name__}_{number}"
            app.route((base + path).rstrip("/") or "/", methods=[method], strict_slashes=False)(with_cluster)
        return handler

    return add
