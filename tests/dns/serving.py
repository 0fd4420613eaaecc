"""A dtkdns that shows names by DNS alone, the calls that change them, and records of every kind."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from process import MEDIA_TYPE, Dtkdns, dtkdns

V4, V6 = "192.168.122.167", "fd00::167"
"""The cluster's addresses."""
DEFAULT_TTL = 5
PACKAGES = {
    "chromium": "chromium",
    "curl": "curl",
    "delv": "bind9-dnsutils",
    "dig": "bind9-dnsutils",
    "dnsmasq": "dnsmasq-base",
    "getent": "libc-bin",
    "host": "bind9-host",
    "ip": "iproute2",
    "musl-gcc": "musl-tools",
    "nslookup": "bind9-dnsutils",
}


def endpoint(name: str, kind: str, *targets: str, ttl: int = 0) -> dict[str, Any]:
    """As external-dns sends it."""
    return {"dnsName": name, "recordType": kind, "targets": list(targets), "recordTTL": ttl}


RECORDS = [
    endpoint("foo.dtk.io", "A", "10.0.0.1", ttl=60),
    endpoint("*.apps.dtk.io", "A", "10.0.0.1", ttl=61),
    endpoint("x.apps.dtk.io", "A", "10.0.0.1", ttl=62),
    endpoint("text.apps.dtk.io", "TXT", '"only text here"'),
    endpoint("leaf.empty.dtk.io", "A", "10.0.0.1"),
    endpoint("deep.below.apps.dtk.io", "A", "10.0.0.1"),
    endpoint("text.dtk.io", "TXT", '"v=spf1 -all"', '"two" "strings"', "no quotes", ttl=63),
    endpoint("_http._tcp.dtk.io", "SRV", "10 5 8080 foo.dtk.io."),
    endpoint("mail.dtk.io", "MX", "10 foo.dtk.io", "20 mx.example.com"),
    endpoint("sub.dtk.io", "NS", "ns.sub.dtk.io", "ns.example.com"),
    endpoint("ns.sub.dtk.io", "A", "10.0.0.1"),
    endpoint("caa.dtk.io", "CAA", '0 issue "letsencrypt.org"'),
    endpoint("naptr.dtk.io", "NAPTR", '100 50 "s" "z3950+N2L+N2C" "" foo.dtk.io.'),
    endpoint("167.122.168.192.in-addr.arpa", "PTR", "foo.dtk.io"),
    endpoint("large.dtk.io", "TXT", *(f'"{number:02} {"x" * 95}"' for number in range(20))),
    endpoint("medium.dtk.io", "TXT", *(f'"{number} {"y" * 95}"' for number in range(6))),
]
"""`large` is more than fits into any datagram, `medium` into one without EDNS."""
ELSEWHERE = [endpoint("www.shop.io", "CNAME", "www.example.com"), endpoint("shop.shop.io", "CNAME", "www.shop.io")]
"""Of a cluster without addresses, so that the CNAME is all that there is."""


@frozen
class Server:
    """A running dtkdns; it is called from where it runs."""

    service: Dtkdns
    prefix: Sequence[str] = ()

    def call(self, method: str, path: str, body: str = "") -> str:
        """One call that has to succeed."""
        url = f"http://127.0.0.1:{self.service.port}{path}"
        command = ["curl", "--fail-with-body", "--silent", "--show-error", "--noproxy", "*", "--request", method]
        command += ["--header", f"Content-Type: {MEDIA_TYPE}", "--data-binary", "@-", url]
        done = subprocess.run(
            [*self.prefix, *command], input=body, capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done
        return done.stdout

    def change(self, base: str = "", **lists: list[dict[str, Any]]) -> None:
        """One `POST /records`."""
        self.call("POST", f"{base}/records", json.dumps(lists))

    def refused(self) -> int:
        """How many questions and connections of peers that may not ask there were."""
        found = json.loads(self.call("GET", "/status"))["dns"]["refused"]
        assert isinstance(found, int)
        return found


@contextmanager
def serving(
    directory: Path,
    *options: str,
    dns: str = "127.0.0.1:0",
    domains: str = "dtk.io",
    addresses: str = f"{V4},{V6}",
    prefix: Sequence[str] = (),
) -> Iterator[Server]:
    """A dtkdns without a hosts file; it keeps its records from one time to the next."""
    need("curl")
    own = ["--port", "tcp:0:interface=127.0.0.1", "--state", f"{directory}/state", "--hosts-file", "none"]
    own += ["--dns", dns, "--domains", domains, "--cluster-ip", addresses]
    with dtkdns(*own, *options, prefix=prefix) as service:
        yield Server(service, prefix)


def need(*tools: str) -> None:
    """Fail with a sentence where one of these programs is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        packages = " ".join(sorted({PACKAGES[tool] for tool in missing}))
        pytest.fail(f"These tests need {', '.join(missing)}: apt-get install {packages}.")
