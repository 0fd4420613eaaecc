"""DNS names as text: normalised, in ASCII, valid as a host name, inside a domain or not."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from functools import lru_cache

import idna

MAX_NAME = 253
"""Octets of a name in text form without the trailing dot (RFC 1035, section 2.3.4)."""

_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_NUMBER = r"(?:[0-9]+|0x[0-9a-f]*)\Z"
_HOSTNAME = re.compile(rf"(?:{_LABEL}\.)*(?!{_NUMBER}){_LABEL}", re.ASCII)
_OWNER_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_OWNER = re.compile(rf"(?:\*\.)?{_OWNER_LABEL}(?:\.{_OWNER_LABEL})*", re.ASCII)


class DomainError(ValueError):
    """A text is not a name that can be used here; the message is a sentence for the user."""


def normalise(name: str) -> str:
    """The form in which names are compared: lower case, without a trailing dot."""
    return name.lower().removesuffix(".")


def to_ascii(name: str) -> str:
    """The normalised name with its international labels in punycode (UTS 46, IDNA 2008).

    A name that has no such form comes back normalised; `is_hostname` then says no.
    """
    lowered = normalise(name)
    return lowered if lowered.isascii() or len(lowered) > 4 * MAX_NAME else _punycode(lowered)


@lru_cache(maxsize=4096)
def _punycode(name: str) -> str:
    try:
        mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
        labels = [label if label.isascii() else idna.alabel(label).decode("ascii") for label in mapped.split(".")]
    except idna.IDNAError:
        return name
    return normalise(".".join(labels))


def is_hostname(name: str) -> bool:
    """Whether a normalised name is letters, digits and hyphens only (RFC 952, RFC 1123 section 2.1).

    A name whose last label is a number would be read as an IPv4 address by many programs
    (https://url.spec.whatwg.org/#ends-in-a-number-checker) and is none.
    """
    return len(name) <= MAX_NAME and _HOSTNAME.fullmatch(name) is not None


def is_owner(name: str) -> bool:
    """Whether a normalised name can own records other than addresses: with underscores too (RFC 8552), and as a
    wildcard.
    """
    return len(name) <= MAX_NAME and _OWNER.fullmatch(name) is not None


def is_wildcard(name: str) -> bool:
    """Whether the leftmost label is an asterisk (RFC 4592, section 2.1.1)."""
    return name.startswith("*.")


def inside(name: str, domains: Iterable[str]) -> bool:
    """Whether a normalised name equals one of the domains or lies under it: `evildtk.io` is not in `dtk.io`."""
    for domain in domains:
        if name.endswith(domain) and (len(name) == len(domain) or name[-len(domain) - 1] == "."):
            return True
    return False


def each_inside(many: Iterable[str], domains: Iterable[str]) -> list[bool]:
    """`inside` of many names, without the time of its calls."""
    endings = tuple(f".{domain}" for domain in domains)
    return [f".{name}".endswith(endings) for name in many]


def parse_domain(text: str) -> str:
    """A domain to manage, in ASCII, from what a person typed.

    Raises `DomainError` for what cannot be one.
    """
    name = to_ascii(text.strip())
    if not name:
        raise DomainError("The domain is empty: give one like dtk.io.")
    if name.startswith("*."):
        given, domain = quoted(text), quoted(name[2:])
        raise DomainError(f"{given} is a wildcard: give {domain}, which covers every name under it.")
    if _is_address(name):
        raise DomainError(f"{quoted(text)} is an address, not a domain: give a domain like dtk.io.")
    if len(name) > MAX_NAME:
        raise DomainError(f"The domain has {len(name)} bytes, but a name has at most {MAX_NAME}.")
    if any(len(label) > 63 for label in name.split(".")):
        raise DomainError(f"{quoted(text)} has a label of more than 63 bytes, the most that DNS allows.")
    if not is_hostname(name):
        raise DomainError(
            f"{quoted(text)} is not a domain: it may hold letters, digits and hyphens, with dots between."
        )
    if inside(name, ["localhost"]):
        raise DomainError("localhost always means this machine itself (RFC 6761): choose another domain.")
    return name


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def quoted(text: str) -> str:
    """A text of anybody's as it can stand in a message: printable, and not too long."""
    shown = text if len(text) <= 80 else text[:77] + "..."
    return ascii(shown)
