"""Who may call, and how: asked as soon as a request's headers are there, before its body is read."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.web.http_headers import Headers
from twisted.web.iweb import IRequest

from dtkdns import names
from dtkdns.access import Access, Caller
from dtkdns.credentials import Credentials
from dtkdns.web.answers import NOTHING_HERE
from dtkdns.web.paths import plain_segments
from dtkdns.wire import MEDIA_TYPE
from dtkdns.worker import Worker

DESKTOP_NAMES = frozenset({"localhost", "host.docker.internal", "host.minikube.internal"})
"""What containers and VMs call the machine that they run on."""
BROWSER_MARKS = (b"Origin", b"Sec-Fetch-Site", b"Referer", b"Accept-Language")
"""Headers that a browser sends and external-dns does not. A page cannot leave out the last one, which comes alone
where the name of the page's host was made to lead here.
"""
SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})

_TARGET = re.compile(rb"/[!\"$-~]*")
_HOST = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::\d{0,5})?")


class RefusedError(Exception):
    """A request is not taken; the message is a sentence that says what would make it so."""


class MalformedError(RefusedError):
    """It is no request that HTTP/1.1 allows, or none for this server."""


class PathError(RefusedError):
    """No route can have such a path."""


class PeerError(RefusedError):
    """The peer may not call at all."""


class CredentialsRequiredError(RefusedError):
    """There are no credentials, or wrong ones."""


class OriginError(RefusedError):
    """A browser makes this call for a page of somebody else."""


class HostError(RefusedError):
    """The request is for a host that this is not: a page may have had its own name lead here (DNS rebinding)."""


class ManagementError(RefusedError):
    """The peer may call, but not change the rules."""


class MediaTypeError(RefusedError):
    """The body is not of the protocol's media type, or is packed."""


@frozen
class Gate:
    """The rules for requests; which peers there are is a matter of `Access`."""

    access: Access
    manages: Callable[[str], bool]
    """Whether a name lies in a managed domain."""
    hosts: frozenset[str] = frozenset()
    """Further names of this machine, in lower case (`--allow-host`)."""
    credentials: Credentials | None = None
    worker: Worker | None = None
    """Where hashed credentials are compared."""

    async def admit(self, path: bytes, method: bytes, version: bytes, headers: Headers, caller: Caller) -> None:
        """Raise a `RefusedError` unless this caller may make such a request."""
        require_form(path, method, version, headers)
        if not caller.may_call:
            raise PeerError(
                f"{caller.name} is in none of the networks that may call dtkdns: --allow takes all that shall,"
                f" --allow {caller.name} this one alone."
            )
        if self.credentials is not None and path.partition(b"?")[0] != b"/healthz":
            await self._authenticate(self.credentials, headers.getRawHeaders(b"Authorization", []))
        self._refuse_other_pages(method, headers)

    async def _authenticate(self, credentials: Credentials, given: Sequence[bytes]) -> None:
        authorization = given[0] if len(given) == 1 else None
        right = credentials.known(authorization)
        if right is None:
            assert self.worker is not None  # noqa: S101 (it comes with the credentials)
            right = await self.worker.run(credentials.verify, authorization)
        if not right:
            how = "wrong" if given else "missing"
            raise CredentialsRequiredError(
                f"The credentials are {how}: external-dns sends those in its URL,"
                " --webhook-provider-url=http://USER:SECRET@HOST:PORT; curl takes --user USER:SECRET."
            )

    def _refuse_other_pages(self, method: bytes, headers: Headers) -> None:
        """No page of another site may make a browser call us (the Fetch standard; W3C Fetch Metadata)."""
        if not any(headers.hasHeader(mark) for mark in BROWSER_MARKS):
            return
        self.require_host(headers)
        origins = headers.getRawHeaders(b"Origin", [])
        sites = headers.getRawHeaders(b"Sec-Fetch-Site", [])
        host = headers.getRawHeaders(b"Host", [b""])[0].lower()
        if any(origin.lower() not in {b"http://" + host, b"https://" + host} for origin in origins):
            raise OriginError("A page of another origin may not call dtkdns.")
        if method not in SAFE_METHODS and not origins:
            own_pages = (b"http://" + host + b"/", b"https://" + host + b"/")
            referers = headers.getRawHeaders(b"Referer", [])
            if not all(referer.lower().startswith(own_pages) for referer in referers):
                raise OriginError("A page of another origin may not call dtkdns.")
        own = {b"same-origin", b"none"} | ({b"same-site"} if method in SAFE_METHODS else set())
        if not own.issuperset(sites):
            raise OriginError("A page of another site may not call dtkdns.")

    def require_management(self, caller: Caller, headers: Headers) -> None:
        """Raise `ManagementError` unless this caller may change the rules, and `HostError`."""
        self.require_host(headers)
        if caller.may_manage:
            return
        if self.access.allow_management is None:
            raise ManagementError("--allow-management none: domains and addresses are set by options alone.")
        raise ManagementError(
            f"{caller.name} is another machine: domains, addresses and deletions are taken from the machine that"
            f" dtkdns runs on. Call it from there, or start dtkdns with --allow-management {caller.name}."
        )

    def require_host(self, headers: Headers) -> None:
        """Raise `HostError` unless the request is for an address, or for a name that is this machine's.

        A managed name is never one: what it leads to is the cluster's to say.
        """
        host = _host(headers.getRawHeaders(b"Host", [b"localhost"])[0])
        if _is_address(host):
            return
        if host in {*DESKTOP_NAMES, *self.hosts, *_own_names()} and not self.manages(host):
            return
        raise HostError(
            f"The request is for the host {names.quoted(host)}, which is not known to be this machine: use its"
            " address, or start dtkdns with --allow-host NAME."
        )


def require_form(path: bytes, method: bytes, version: bytes, headers: Headers) -> None:
    """Raise `MalformedError` for what RFC 9112 has a server refuse, and for a proxy's requests; or `PathError`."""
    hosts = headers.getRawHeaders(b"Host", [])
    if len(hosts) > 1 or (not hosts and version == b"HTTP/1.1"):
        raise MalformedError("A request has one Host header.")
    for host in hosts:
        _host(host)
    if method != method.upper():
        raise MalformedError("The names of methods are in capitals.")
    if not path.startswith(b"/"):
        raise MalformedError("dtkdns is no proxy: ask for a path alone.")
    if _TARGET.fullmatch(path) is None:
        raise MalformedError("A path holds printable ASCII, and no #.")
    if plain_segments(path.partition(b"?")[0]) is None:
        raise PathError(NOTHING_HERE)
    codings = headers.getRawHeaders(b"Transfer-Encoding", [])
    if codings and (version != b"HTTP/1.1" or [coding.lower() for coding in codings] != [b"chunked"]):
        raise MalformedError("A body is sent chunked, in HTTP/1.1, or with its length.")
    if headers.hasHeader(b"Content-Encoding"):
        raise MediaTypeError("A body is taken as it is: leave out Content-Encoding.")


def require_media_type(request: IRequest) -> None:
    """The record routes take the protocol's own media type only. Raises `MediaTypeError`."""
    given = request.requestHeaders.getRawHeaders(b"Content-Type", [])
    plain = [value.replace(b" ", b"").lower() for value in given]
    if plain != [MEDIA_TYPE]:
        raise MediaTypeError(f"The Content-Type of this call is {MEDIA_TYPE.decode('ascii')}.")


def _host(field: bytes) -> str:
    """The host of a Host header, in lower case, without the port. Raises `MalformedError`."""
    found = _HOST.fullmatch(field)
    host = (found[1] or found[2]).decode("ascii").lower() if found else ""
    if found is None or (found[1] is not None and not _is_address(host)):
        raise MalformedError("The Host header is not HOST or HOST:PORT.")
    return host.rstrip(".")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _own_names() -> set[str]:
    """This machine's name, also as its neighbours call it by multicast DNS (RFC 6762)."""
    name = socket.gethostname().lower().rstrip(".")
    label = name.partition(".")[0]
    return {name, label, f"{label}.local"} - {"", ".local"}
