"""What a request's path says before it is routed, and that it says what the routes do."""

from __future__ import annotations

import re
from typing import cast
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from dtkdns.access import Access
from dtkdns.overview import Overview
from dtkdns.passes import Passes
from dtkdns.provider import Provider
from dtkdns.web.gate import Gate
from dtkdns.web.metrics import Metrics
from dtkdns.web.paths import (
    LARGE_BODY,
    ROUTES,
    SMALL_BODY,
    carries_records,
    largest_body,
    plain_segments,
    route_of,
)
from dtkdns.web.site import make_app

SEGMENT = st.binary(min_size=1, max_size=5)


@pytest.fixture
def rules() -> set[str]:
    """The paths that the service routes."""
    provider = cast(Provider, None)
    overview = Overview(provider, None, None, Passes(), Clock())
    gate = Gate(Access(), lambda _name: False)
    app = make_app(gate, provider, overview, Metrics(overview), Clock())
    return {rule.rule for rule in app.url_map.iter_rules()}


@given(st.binary(max_size=30))
def test_segments_are_plain_or_the_path_is_none(path: bytes) -> None:
    segments = plain_segments(path)
    if segments is not None:
        assert b"" not in segments
        assert b"/".join(segments).decode("utf-8") is not None
    assert largest_body(path) in {LARGE_BODY, SMALL_BODY}
    assert route_of(path) in {*ROUTES, "other"}


@pytest.mark.parametrize(
    ("path", "segments"),
    [
        (b"", []),
        (b"/", []),
        (b"//a///b/", [b"a", b"b"]),
        (b"/a%20b/%C3%A9", [b"a%20b", b"%C3%A9"]),
        ("/\u00e9".encode(), ["\u00e9".encode()]),
        (b"/...", [b"..."]),
        (b"/a%7f", [b"a%7f"]),
        (b"/.", None),
        (b"/a/../b", None),
        (b"/a/%2E%2e/b", None),
        (b"/a%2Fb", None),
        (b"/a%00", None),
        (b"/a\x1f", None),
        (b"/a%0a", None),
        (b"/\xff", None),
        (b"/%ff", None),
    ],
)
def test_a_path_that_no_route_can_mean_has_no_segments(path: bytes, segments: list[bytes] | None) -> None:
    assert plain_segments(path) == segments


@given(st.lists(SEGMENT))
def test_quoting_makes_no_difference(parts: list[bytes]) -> None:
    quoted = b"/".join(b"".join(b"%%%02x" % byte for byte in part) for part in parts)
    plainly = b"/".join(quote_from_bytes(part, safe="").encode() for part in parts)
    assert (plain_segments(quoted) is None) == (plain_segments(plainly) is None)


@pytest.mark.parametrize(
    ("path", "carries"),
    [
        (b"/records", True),
        (b"/clusters/lab/adjustendpoints", True),
        (b"//records//", True),
        (b"/records?x=/y", True),
        (b"/adjustendpoints?", True),
        (b"/domains?/records", False),
        (b"/records/x", False),
        (b"/Records", False),
        (b"/", False),
        (b"/../records", False),
    ],
)
def test_the_record_routes_take_large_bodies_in_every_spelling(path: bytes, carries: bool) -> None:
    assert carries_records(path) is carries
    assert largest_body(path) == (LARGE_BODY if carries else SMALL_BODY)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        (b"/", "/"),
        (b"", "other"),
        (b"/%2f", "other"),
        (b"/../records", "other"),
        (b"//records/?a=b", "/records"),
        (b"/clusters/lab", "/"),
        (b"/clusters/lab/", "/"),
        (b"/clusters/lab/records", "/records"),
        (b"/domains/secret.example", "/domains/<domain>"),
        (b"/clusters/lab/names/secret.example", "/names/<name>"),
        (b"/names", "other"),
        (b"/records/x", "other"),
        (b"/domains/a/b", "other"),
        (b"/secret.example", "other"),
        (b"/\xc3\xa9", "other"),
        (b"/clusters/lab/clusters/lab/records", "other"),
    ],
)
def test_requests_are_counted_by_route_whatever_the_name_in_them(path: bytes, route: str) -> None:
    assert route_of(path) == route


def test_every_route_of_the_service_is_counted_by_itself_and_there_is_no_other(rules: set[str]) -> None:
    at_root = {re.sub("^/clusters/<cluster>/?", "/", rule) for rule in rules}
    assert at_root == ROUTES


def test_the_route_of_every_rule_is_its_own(rules: set[str]) -> None:
    for rule in rules:
        path = re.sub("<[a-z]+>", "x", rule).encode()
        assert route_of(path) == re.sub("^/clusters/<cluster>/?", "/", rule)


def test_every_rule_that_takes_records_takes_large_bodies(rules: set[str]) -> None:
    large = {rule for rule in rules if largest_body(rule.encode()) == LARGE_BODY}
    bases = ("", "/clusters/<cluster>")
    assert large == {f"{base}{path}" for base in bases for path in ("/records", "/adjustendpoints")}
