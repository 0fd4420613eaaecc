"""What a request's path says before it is routed."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

LARGE_BODY = 64 * 1024 * 1024
"""Bytes for the two routes that carry records: 60,000 updates are 40 MiB."""
SMALL_BODY = 4096
"""Bytes for every other route."""
ROUTES = frozenset(
    {
        "/",
        "/records",
        "/adjustendpoints",
        "/domains",
        "/domains/<domain>",
        "/clusterip",
        "/names/<name>",
        "/healthz",
        "/readyz",
        "/metrics",
        "/status",
    }
)
"""What requests are counted by; those to any other path are counted together."""


def plain_segments(path: bytes) -> list[bytes] | None:
    """The segments of a path, still quoted, without empty ones; None for a path that no route can mean.

    Those are paths that are not UTF-8, or hide a slash or a control character in a segment.
    """
    segments = [segment for segment in path.split(b"/") if segment]
    for segment in segments:
        unquoted = unquote_to_bytes(segment)
        if b"/" in unquoted or unquoted in {b".", b".."} or any(byte < 32 for byte in unquoted):
            return None
        try:
            unquoted.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return segments


def carries_records(uri: bytes) -> bool:
    """Whether a request to this path may carry records."""
    segments = plain_segments(uri.partition(b"?")[0]) or [b""]
    return segments[-1] in {b"records", b"adjustendpoints"}


def within_a_pass(method: bytes, uri: bytes) -> bool:
    """Whether external-dns, once it has the answer, may POST within the same pass (`controller/controller.go`)."""
    segments = plain_segments(uri.partition(b"?")[0]) or [b""]
    return (method, segments[-1]) in {(b"GET", b"records"), (b"POST", b"adjustendpoints")}


def largest_body(uri: bytes) -> int:
    """How many bytes the body of a request to this path may have."""
    return LARGE_BODY if carries_records(uri) else SMALL_BODY


def route_of(uri: bytes) -> str:
    """The path of the route that takes a request, whatever the cluster or name in it: for counting."""
    path = uri.partition(b"?")[0]
    segments = plain_segments(path)
    if not path or segments is None:
        return "other"
    if segments[:1] == [b"clusters"]:
        segments = segments[2:]
    route = "/" + "/".join(segment.decode("ascii", "replace") for segment in segments[:1])
    if len(segments) == 2:
        route += {"/domains": "/<domain>", "/names": "/<name>"}.get(route, "/-")
    return route if len(segments) <= 2 and route in ROUTES else "other"
