"""Judgements of DNS-over-HTTPS, which browsers are told to use by policy: it never asks this machine's resolver.

Chromium looks into the hosts file first, for every name (`net/dns/host_resolver_manager.cc`). Firefox reads the
file once, when it starts with DNS-over-HTTPS, and does not ask for the names that it has then nor for those below
them (`netwerk/dns/TRRServiceBase.cpp`, `TRRService.cpp`): for a later name the server is asked first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dtkdns import names
from dtkdns.cli.doctor.finding import Finding, warning, well

CHROMIUM = ("/etc/chromium/policies/managed", "/etc/opt/chrome/policies/managed")
"""Directories of policies, files ending in .json."""
FIREFOX = (
    ("/etc/firefox/policies", "policies.json"),
    ("/usr/lib", "firefox*/distribution/policies.json"),
    ("/usr/lib64", "firefox*/distribution/policies.json"),
)
"""Directories, and what leads from there to the policies."""


def chromium(texts: Mapping[str, str]) -> Iterator[Finding]:
    """From the texts of its policies by their paths."""
    for path, text in texts.items():
        if _decoded(text).get("DnsOverHttpsMode") == "secure":
            yield warning(
                "browsers",
                f"Chromium asks by DNS-over-HTTPS only ({path}): it finds what is in the hosts file, and no"
                " wildcards.",
                'Set "DnsOverHttpsMode": "automatic" there.',
            )


def firefox(texts: Mapping[str, str], domains: Sequence[str]) -> Iterator[Finding]:
    """From the texts of its policies by their paths; domains that these leave out do no harm."""
    for path, text in texts.items():
        policies = _decoded(text).get("policies")
        doh = policies.get("DNSOverHTTPS") if isinstance(policies, dict) else None
        if not isinstance(doh, dict) or doh.get("Enabled") is not True:
            continue
        listed = doh.get("ExcludedDomains")
        excluded = [names.to_ascii(str(one)) for one in listed] if isinstance(listed, list) else []
        asked = [domain for domain in domains if not names.inside(domain, excluded)]
        if asked:
            yield warning(
                "browsers",
                f"Firefox asks by DNS-over-HTTPS first ({path}): of the hosts file it knows only what stood there"
                " when it was started, and of wildcards nothing.",
                f'Add to "ExcludedDomains" there: {msgspec.json.encode(asked).decode()[1:-1]}.',
            )


def nothing() -> Finding:
    return well("browsers", "No policy tells them to use DNS-over-HTTPS for the managed domains.")


def _decoded(text: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
