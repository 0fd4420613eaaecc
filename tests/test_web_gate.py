"""Who may call, and how: asked of every request before its body is read."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.web.http_headers import Headers
from werkzeug.security import generate_password_hash

from dtkdns import access
from dtkdns.access import Access, Caller
from dtkdns.credentials import Credentials
from dtkdns.names import inside
from dtkdns.web.channel import ARRIVAL_SECONDS
from dtkdns.web.gate import (
    CredentialsRequiredError,
    Gate,
    HostError,
    MalformedError,
    ManagementError,
    MediaTypeError,
    OriginError,
    PathError,
    PeerError,
    RefusedError,
    require_media_type,
)
from running import WEBHOOK, Reply, basic, credentials_file, endpoint, running, until

HERE = Caller("127.0.0.1", True, True)
OPEN_TO_NOBODY = "192.0.2.0/24"
ROUTES = [
    ("GET", "/"),
    ("GET", "/records"),
    ("POST", "/records"),
    ("POST", "/adjustendpoints"),
    ("GET", "/domains"),
    ("POST", "/domains"),
    ("DELETE", "/domains/dtk.io"),
    ("GET", "/clusterip"),
    ("POST", "/clusterip"),
    ("DELETE", "/names/a.dtk.io"),
    ("DELETE", "/clusters/lab"),
    ("GET", "/readyz"),
    ("GET", "/status"),
    ("GET", "/metrics"),
    ("GET", "/healthz/"),
    ("GET", "//healthz"),
    ("GET", "/nothing"),
    ("PUT", "/"),
    ("OPTIONS", "/"),
]


def gate(**parts: Any) -> Gate:
    """A gate of a machine called desk.lan too, where dtk.io is managed."""
    rules = Access(allow_management=parts.pop("allow_management", ()))
    return Gate(rules, lambda name: inside(name, ["dtk.io"]), frozenset({"desk.lan", "www.dtk.io"}), **parts)


def refusal(ask: Callable[[], None]) -> type[RefusedError] | None:
    """How this is refused, if it is."""
    try:
        ask()
    except RefusedError as error:
        return type(error)
    return None


def admission(
    method: bytes = b"GET",
    path: bytes = b"/",
    headers: Iterable[tuple[bytes, bytes]] = ((b"Host", b"localhost"),),
    version: bytes = b"HTTP/1.1",
    caller: Caller = HERE,
    **parts: Any,
) -> type[RefusedError] | None:
    """How the gate refuses such a request, if it does."""
    given = Headers()
    for name, value in headers:
        given.addRawHeader(name, value)
    raised: list[type[RefusedError] | None] = []
    asked = Deferred.fromCoroutine(gate(**parts).admit(path, method, version, given, caller))
    asked.addErrback(lambda failure: failure.type).addCallback(raised.append)  # at once
    (found,) = raised
    return found


# The form of a request


@pytest.mark.parametrize(
    ("version", "headers", "refused"),
    [
        (b"HTTP/1.1", [], MalformedError),
        (b"HTTP/1.0", [], None),
        (b"HTTP/1.1", [(b"Host", b"a"), (b"Host", b"a")], MalformedError),
        (b"HTTP/1.0", [(b"Host", b"a"), (b"Host", b"b")], MalformedError),
        (b"HTTP/1.1", [(b"Host", b"")], MalformedError),
        (b"HTTP/1.1", [(b"Host", b"a b")], MalformedError),
        (b"HTTP/1.1", [(b"Host", b"user@a")], MalformedError),
        (b"HTTP/1.1", [(b"Host", b"a:")], None),
        (b"HTTP/1.1", [(b"Host", b"a:5000:1")], MalformedError),
        (b"HTTP/1.1", [(b"Host", b"a,b")], MalformedError),
        (b"HTTP/1.1", [(b"Host", b"[::1")], MalformedError),
        (b"HTTP/1.1", [(b"Host", b"[..]")], MalformedError),
        (b"HTTP/1.1", [(b"Host", b"\xff")], MalformedError),
        (b"HTTP/1.1", [(b"Host", b"any.name.at-all_:5000")], None),
        (b"HTTP/1.1", [(b"Host", b"[::1]:5000")], None),
    ],
)
def test_there_is_one_host(
    version: bytes, headers: list[tuple[bytes, bytes]], refused: type[RefusedError] | None
) -> None:
    assert admission(version=version, headers=headers) is refused


@pytest.mark.parametrize(
    ("version", "codings", "refused"),
    [
        (b"HTTP/1.1", [b"chunked"], None),
        (b"HTTP/1.1", [b"Chunked"], None),
        (b"HTTP/1.0", [b"chunked"], MalformedError),
        (b"HTTP/1.1", [b"gzip, chunked"], MalformedError),
        (b"HTTP/1.1", [b"chunked", b"chunked"], MalformedError),
        (b"HTTP/1.1", [b"identity"], MalformedError),
        (b"HTTP/1.1", [b""], MalformedError),
    ],
)
def test_a_body_has_a_length_or_is_chunked(
    version: bytes, codings: list[bytes], refused: type[RefusedError] | None
) -> None:
    headers = [(b"Host", b"a"), *[(b"Transfer-Encoding", coding) for coding in codings]]
    assert admission(version=version, headers=headers) is refused


@pytest.mark.parametrize(
    ("method", "path", "refused"),
    [
        (b"GET", b"/records", None),
        (b"get", b"/records", MalformedError),
        (b"GET", b"http://localhost/records", MalformedError),
        (b"GET", b"*", MalformedError),
        (b"CONNECT", b"localhost:80", MalformedError),
        (b"GET", b"/records#x", MalformedError),
        (b"GET", b"/\xff", MalformedError),
        (b"GET", b"/../records", PathError),
        (b"GET", b"/a%2fb", PathError),
        (b"GET", b"/records?x=/../%2f", None),
    ],
)
def test_a_path_alone_is_asked_for(method: bytes, path: bytes, refused: type[RefusedError] | None) -> None:
    assert admission(method, path) is refused


# Peers


@ensureDeferred
async def test_a_peer_of_no_allowed_network_gets_403_everywhere_with_the_option_that_lets_it_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "is_this_machine", lambda _peer: False)
    async with running(tmp_path, "--allow", OPEN_TO_NOBODY) as service:
        claimed = {"X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1", "Forwarded": "for=192.0.2.1"}
        for method, path in [*ROUTES, ("GET", "/healthz")]:
            reply = await service.call(method, path, headers=claimed)
            assert reply.status == 403, path
            if method != "HEAD":
                assert "--allow 127.0.0.1 " in reply.text
    async with running(tmp_path, "--allow", "127.0.0.1/32") as service:
        assert (await service.change(create=[endpoint("a.dtk.io", "10.0.0.1")])).status == 204
        assert (await service.call("POST", "/domains", b"lab.io")).status == 403


@ensureDeferred
async def test_a_header_makes_no_other_machine_of_a_peer(tmp_path: Path, log_lines: list[str]) -> None:
    async with running(tmp_path) as service:
        claimed = {"X-Forwarded-For": "8.8.8.8", "X-Real-IP": "8.8.8.8", "Forwarded": "for=8.8.8.8"}
        assert (await service.call("POST", "/domains", b"lab.io", claimed)).status == 200
        assert (await service.call("GET", "/", None, claimed)).status == 200
    assert not [line for line in log_lines if "8.8.8.8" in line]


@ensureDeferred
async def test_with_management_none_not_even_this_machine_changes_the_rules(tmp_path: Path) -> None:
    async with running(tmp_path, "--allow-management", "none") as service:
        for method, path in ROUTES:
            if method == "DELETE" or path in {"/domains", "/clusterip"}:
                reply = await service.call(method, path, b"lab.io")
                assert reply.status == (200 if method == "GET" else 403), path
                assert method == "GET" or "--allow-management none" in reply.text
        assert (await service.change(create=[endpoint("a.dtk.io", "10.0.0.1")])).status == 204


@ensureDeferred
async def test_a_network_of_managers_may_change_the_rules_and_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "is_this_machine", lambda _peer: False)
    options = ("--allow", OPEN_TO_NOBODY, "--allow-management", "127.0.0.1/32")
    async with running(tmp_path, *options) as service:
        assert (await service.call("POST", "/domains", b"lab.io")).status == 200
        assert (await service.call("GET", "/records")).status == 200


# Credentials


@ensureDeferred
async def test_every_call_but_healthz_needs_credentials_from_this_machine_too(tmp_path: Path) -> None:
    async with running(tmp_path, *credentials_file(tmp_path, "user:secret")) as service:
        for method, path in ROUTES:
            for given in ({}, basic("user", "wrong"), basic("other", "secret"), {"Authorization": "Bearer x"}):
                reply = await service.call(method, path, headers=given)
                assert reply.status == 401, (path, given)
                challenge = reply.headers.getRawHeaders(b"WWW-Authenticate")
                assert challenge == [b'Basic realm="dtkdns", charset="UTF-8"']
                assert ("wrong" if given else "missing") in reply.text
            assert (await service.call(method, path, headers=basic("user", "secret"))).status != 401
        assert (await service.call("GET", "/healthz")).text == "ok\n"
        assert (await service.call("GET", "/healthz?x")).text == "ok\n"
        assert (await service.call("GET", "/domains", headers=basic("user", "secret"))).json() == ["dtk.io"]


def test_two_authorizations_are_as_good_as_a_wrong_one() -> None:
    known = Credentials({"user": "secret"})
    authorization = (b"Authorization", basic("user", "secret")["Authorization"].encode())
    host = (b"Host", b"a")
    assert admission(headers=[host, authorization], credentials=known) is None
    assert admission(headers=[host, authorization, authorization], credentials=known) is CredentialsRequiredError
    assert admission(headers=[host], credentials=known) is CredentialsRequiredError


class SlowHash:
    """Comparing with a hash takes until the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = 0
        self.go_on = Event()
        verify = Credentials.verify

        def slow(known: Credentials, authorization: bytes | None) -> bool:
            self.begun += 1
            self.go_on.wait()
            return verify(known, authorization)

        monkeypatch.setattr(Credentials, "verify", slow)


HASHED = "user:" + generate_password_hash("secret", "scrypt:256:8:1")


@ensureDeferred
async def test_hashed_credentials_of_two_at_once_are_compared_while_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = SlowHash(monkeypatch)
    async with running(tmp_path, *credentials_file(tmp_path, HASHED)) as service:
        right, wrong = [
            Deferred.fromCoroutine(service.call("GET", "/records", headers=basic("user", secret)))
            for secret in ("secret", "wrong")
        ]
        await until(lambda: slow.begun == 1)
        assert (await service.call("GET", "/healthz")).status == 200
        assert not right.called
        assert not wrong.called
        slow.go_on.set()
        assert ((await right).status, (await wrong).status) == (200, 401)
        assert slow.begun == 2
        assert (await service.call("GET", "/records", headers=basic("user", "secret"))).status == 200
        assert slow.begun == 2


@ensureDeferred
@pytest.mark.parametrize("too_slow", [True, False])
async def test_a_client_that_goes_away_while_its_hash_is_compared_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, too_slow: bool
) -> None:
    slow = SlowHash(monkeypatch)
    async with running(tmp_path, *credentials_file(tmp_path, HASHED)) as service:
        clock = service.stop_time()
        client = await service.connect()
        authorization = basic("user", "wrong")["Authorization"]
        client.send(f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {authorization}\r\n\r\n".encode())
        await until(lambda: slow.begun == 1)
        await client.leave()
        if too_slow:
            clock.advance(ARRIVAL_SECONDS)
        else:
            slow.go_on.set()
        await until(lambda: not service.site._channels)
        slow.go_on.set()
        assert clock.getDelayedCalls() == []
        assert len(service.site.connections) == 0
        assert (await service.call("GET", "/records", headers=basic("user", "secret"))).status == 200


# The host that a request is for


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.0.0.1:5000",
        "192.168.122.1:5000",
        "[::1]",
        "[fd00::1]:5000",
        "localhost",
        "LocalHost:5000",
        "localhost.",
        "host.docker.internal",
        "host.minikube.internal",
        "desk.lan:80",
        "DESK.lan.",
        "machine.example",
        "machine",
        "machine.local",
        "MACHINE.LOCAL.:5000",
    ],
)
def test_an_address_and_a_name_of_this_machine_are_hosts_for_management(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Machine.example")
    assert refusal(lambda: gate().require_management(HERE, Headers({"Host": [host]}))) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "2130706433",
        "127.1",
        "0x7f000001",
        "machine.evil.example",
        "other.local",
        ".local",
        ".",
        "docker.internal",
        "dtk.io",
        "www.dtk.io",
        "a.dtk.io",
        "local",
    ],
)
def test_every_other_host_is_refused_and_a_managed_name_even_if_it_is_allowed(
    monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Machine.example")
    assert refusal(lambda: gate().require_management(HERE, Headers({"Host": [host]}))) is HostError


def test_a_managed_name_of_the_machine_itself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "machine.dtk.io")
    headers = Headers({"Host": ["machine.dtk.io"]})
    assert refusal(lambda: gate().require_host(headers)) is HostError
    assert refusal(lambda: gate().require_host(Headers({"Host": ["machine.local"]}))) is None


def test_a_request_of_http_1_0_without_a_host_is_for_this_machine() -> None:
    assert refusal(lambda: gate().require_host(Headers())) is None


@ensureDeferred
async def test_a_host_that_is_not_this_machine_reads_and_changes_no_rules_but_gets_the_webhook(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, "--allow-host", "desk.lan,Desk2.lan") as service:
        for method, path in ROUTES:
            if path in {"/status", "/domains", "/clusterip"} or method == "DELETE":
                reply = await service.call(method, path, b"lab.io", {"Host": "evil.example"})
                assert reply.status == 421, path
                assert "--allow-host" in reply.text
        for host in ("evil.example", "dtk.io", "desk.lan"):
            records = await service.call("POST", "/records", b"{}", {**WEBHOOK, "Host": host})
            assert records.status == 204
        for host in ("desk.lan", "desk2.LAN:5000"):
            assert (await service.call("GET", "/status", None, {"Host": host})).status == 200
        await service.call("POST", "/domains", b"lan")
        assert (await service.call("GET", "/status", None, {"Host": "desk.lan"})).status == 421


# Pages in a browser


PAGES = [
    # marks of a browser beside Host: localhost, and how GET and POST are taken
    ({"Origin": "http://localhost"}, None, None),
    ({"Origin": "https://LOCALHOST"}, None, None),
    ({"Origin": "http://localhost:5000"}, OriginError, OriginError),
    ({"Origin": "http://evil.example"}, OriginError, OriginError),
    ({"Origin": "http://127.0.0.1"}, OriginError, OriginError),
    ({"Origin": "ftp://localhost"}, OriginError, OriginError),
    ({"Origin": "null"}, OriginError, OriginError),
    ({"Origin": ""}, OriginError, OriginError),
    ({"Sec-Fetch-Site": "same-origin"}, None, None),
    ({"Sec-Fetch-Site": "none"}, None, None),
    ({"Sec-Fetch-Site": "same-site"}, None, OriginError),
    ({"Sec-Fetch-Site": "cross-site"}, OriginError, OriginError),
    ({"Sec-Fetch-Site": "made-up"}, OriginError, OriginError),
    ({"Sec-Fetch-Site": "same-origin", "Origin": "http://evil.example"}, OriginError, OriginError),
    ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, OriginError, OriginError),
    ({"Accept-Language": "en"}, None, None),
    ({"Referer": "http://evil.example/"}, None, OriginError),
    ({"Referer": "http://localhost/page"}, None, None),
]


@pytest.mark.parametrize(("marks", "reading", "writing"), PAGES)
def test_only_a_page_of_dtkdns_itself_may_call(
    marks: dict[str, str], reading: type[RefusedError] | None, writing: type[RefusedError] | None
) -> None:
    headers = [(b"Host", b"localhost"), *[(name.encode(), value.encode()) for name, value in marks.items()]]
    assert [admission(method, headers=headers) for method in (b"GET", b"HEAD", b"OPTIONS")] == 3 * [reading]
    assert [admission(method, headers=headers) for method in (b"POST", b"DELETE", b"PUT")] == 3 * [writing]


@pytest.mark.parametrize("mark", ["Origin", "Sec-Fetch-Site", "Referer", "Accept-Language"])
def test_a_call_with_the_mark_of_a_browser_needs_a_known_host_on_every_path(mark: str) -> None:
    value = {"Origin": b"http://evil.example", "Sec-Fetch-Site": b"same-origin"}.get(mark, b"x")
    headers = [(b"Host", b"evil.example"), (mark.encode(), value)]
    for path in (b"/", b"/records", b"/healthz", b"/metrics", b"/nothing"):
        assert admission(path=path, headers=headers) is HostError
        assert admission(path=path, headers=headers[:1]) is None


@ensureDeferred
async def test_no_answer_gives_a_page_leave_to_read_it_and_a_preflight_is_a_405(tmp_path: Path) -> None:
    def closed(reply: Reply) -> int:
        granted = [
            name for name, _ in reply.headers.getAllRawHeaders() if name.lower().startswith(b"access-control")
        ]
        assert granted == []
        return reply.status

    async with running(tmp_path) as service:
        own = f"http://127.0.0.1:{service.port}"
        for method, path in [*ROUTES, ("GET", "/healthz")]:
            for marks in ({}, {"Origin": own}, {"Origin": "http://evil.example"}, {"Host": "evil.example"}):
                closed(await service.call(method, path, b"{}", {**WEBHOOK, **marks}))
        asking = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
        for path in {path for _, path in ROUTES} - {"/nothing"}:
            assert closed(await service.call("OPTIONS", path, headers=asking)) == 405, path
            assert closed(await service.call("OPTIONS", path, headers={**asking, "Origin": "null"})) == 403


# Management and media type


@pytest.mark.parametrize(("managers", "says"), [((), "--allow-management 10.0.0.1"), (None, "-management none")])
def test_who_may_not_change_the_rules_is_told_the_option(managers: tuple[Any, ...] | None, says: str) -> None:
    with pytest.raises(ManagementError, match=says):
        gate(allow_management=managers).require_management(
            Caller("10.0.0.1", True, False), Headers({"Host": ["localhost"]})
        )


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (["application/external.dns.webhook+json;version=1"], True),
        (["Application/External.DNS.webhook+json; Version=1"], True),
        ([], False),
        (["application/json"], False),
        (["text/plain"], False),
        (["application/external.dns.webhook+json"], False),
        (["application/external.dns.webhook+json;version=2"], False),
        (2 * ["application/external.dns.webhook+json;version=1"], False),
    ],
)
def test_the_record_routes_take_one_media_type(given: list[str], taken: bool) -> None:
    request = SimpleNamespace(requestHeaders=Headers({"Content-Type": given}))
    refused = refusal(lambda: require_media_type(request))  # type: ignore[arg-type]
    assert refused is (None if taken else MediaTypeError)


def test_an_admission_asks_for_the_form_then_the_peer_then_the_credentials_then_the_page() -> None:
    stranger = Caller("8.8.8.8", False, False)
    known = Credentials({"user": "secret"})
    page = [(b"Host", b"localhost"), (b"Origin", b"null")]
    assert admission(headers=page) is OriginError
    assert admission(headers=page, credentials=known) is CredentialsRequiredError
    assert admission(headers=page, credentials=known, caller=stranger) is PeerError
    assert admission(headers=[], credentials=known, caller=stranger) is MalformedError
