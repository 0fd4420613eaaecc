"""What pages in a real browser can do to dtkdns, from another origin and after DNS rebinding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from uuid import uuid4

import pytest
from attrs import frozen

from process import MEDIA_TYPE, Dtkdns, call, dtkdns

from .browser import LET_IN, Answer, Attempt, Seen, Site, visit

HOSTS = b"127.0.0.1 localhost\n"
ADDRESS = "192.168.122.167"
KEPT = '{"create":[{"dnsName":"kept.dtk.io","targets":["10.0.0.1"],"recordType":"A"}]}'
SECRETS = ("dtk.io", ADDRESS, "10.0.0.1")

HARMFUL = {
    "/domains": "evil.io",
    "/clusterip": "10.6.6.6",
    # The = is where a form puts one: so its text/plain is JSON too.
    "/records": '{"create":[{"dnsName":"a.dtk.io","targets":["10.6.6.6"],"recordType":"A","labels":{"x":"="}}]}',
}
DELETED = ("/domains/dtk.io", "/clusters/default")
READABLE = ("/", "/records", "/domains", "/clusterip", "/status")

PLAIN = (None, "text/plain", "application/x-www-form-urlencoded")
JSON = ("application/json", MEDIA_TYPE)
ENCODINGS = ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data")
CREDENTIALS = ("omit", "include")

FORMS = [
    Attempt("POST", path, body, encoding, form=True)
    for (path, body), encoding in product(HARMFUL.items(), ENCODINGS)
]
SENT_AT_ONCE = [
    Attempt("POST", path, body, media_type, mode=mode, credentials=credentials)
    for (path, body), media_type, mode, credentials in product(
        HARMFUL.items(), PLAIN, ("no-cors", "cors"), CREDENTIALS
    )
]
ASKED_FOR_FIRST = [
    Attempt("POST", path, body, media_type, mode="cors", credentials=credentials)
    for (path, body), media_type, credentials in product(HARMFUL.items(), JSON, CREDENTIALS)
] + [
    Attempt("DELETE", path, mode="cors", credentials=credentials)
    for path, credentials in product(DELETED, CREDENTIALS)
]
"""The browser asks by an OPTIONS call whether it may send these."""
READ_BY_FETCH = [
    Attempt("GET", path, mode="cors", credentials=credentials)
    for path, credentials in product(READABLE, CREDENTIALS)
]
READ_UNSEEN = [
    Attempt("GET", path, mode="no-cors", credentials=credentials)
    for path, credentials in product(READABLE, CREDENTIALS)
]
FROM_ELSEWHERE = [*SENT_AT_ONCE, *FORMS, *ASKED_FOR_FIRST, *READ_BY_FETCH, *READ_UNSEEN]

SAME_ORIGIN = [
    *(Attempt("POST", path, body, kind) for (path, body), kind in product(HARMFUL.items(), PLAIN + JSON)),
    *FORMS,
    *(Attempt("DELETE", path) for path in DELETED),
    *(Attempt("GET", path) for path in ("/", "/records", "/status", "/domains", "/clusterip")),
]
"""What a page tries whose own origin dtkdns seems to be."""

REFUSED = {403, 405, 415, 421}
NOTHING = Answer(0, "")

PAGES = {
    "site": "http://evil.test:{}/",
    "sandboxed": "http://evil.test:{}/framed",
    "neighbour": "http://127.0.0.1:{}/",
}
"""A page of another site, one whose origin is `null`, and one of another server of this machine."""
HOSTS_CALLED = {"loopback": "127.0.0.1", "network": "192.0.2.77"}
"""The second stands for the desktop's address in its network: over plain HTTP browsers send no `Sec-Fetch-Site` to
any address but those of loopback.
"""


@frozen
class State:
    """Everything that a page might change."""

    hosts: bytes
    answers: tuple[tuple[int, bytes], ...]


@frozen
class Service:
    """A dtkdns with a domain, an address and a record."""

    dtkdns: Dtkdns
    hosts: Path

    def call(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        with self.dtkdns.connection() as connection:
            return call(connection, method, path, body)

    def state(self) -> State:
        answers = tuple(self.call("GET", path) for path in ("/domains", "/clusterip", "/records"))
        assert [status for status, _body in answers] == [200, 200, 200]
        return State(self.hosts.read_bytes(), answers)

    def answered(self, attempts: Sequence[Attempt]) -> dict[Attempt, set[tuple[str, int]]]:
        """The methods and statuses that dtkdns has logged for each attempt of a page."""
        mark = f"/domains?{uuid4().hex}"
        self.call("GET", mark)
        next(line for line in self.dtkdns.lines() if mark in line)
        found: dict[Attempt, set[tuple[str, int]]] = {attempt: set() for attempt in attempts}
        for line in self.dtkdns.log:
            logged = re.search(r" ([A-Z]+) (\S+)\?attempt=(\d+) (\d+) in ", line)
            if logged:
                attempt = attempts[int(logged[3])]
                assert logged[2] == attempt.path
                found[attempt].add((logged[1], int(logged[4])))
        return found


@contextmanager
def service(directory: Path) -> Iterator[Service]:
    hosts = directory / "hosts"
    hosts.write_bytes(HOSTS)
    options = ["--port", "tcp:0:interface=127.0.0.1", "--state", str(directory / "state"), "--debug"]
    with dtkdns(*options, "--hosts-file", str(hosts)) as process:
        service = Service(process, hosts)
        assert service.call("POST", "/domains", "dtk.io")[0] == 200
        assert service.call("POST", "/clusterip", ADDRESS)[0] == 200
        assert service.call("POST", "/records", KEPT)[0] == 204
        yield service


def opened_elsewhere(
    page: str, host: str, port: int, attempts: Sequence[Attempt], directory: Path
) -> list[Answer]:
    """What one of `PAGES` reads of a server on this port that it calls by one of `HOSTS_CALLED`."""
    with Site("127.0.0.1") as site:
        site.order(f"http://{HOSTS_CALLED[host]}:{port}", attempts)
        resolve = f"MAP evil.test 127.0.0.1,MAP {HOSTS_CALLED['network']} 127.0.0.1"
        answers = visit(PAGES[page].format(site.port), site, directory, resolve=resolve)
    assert len(answers) == len(attempts)
    return answers


def opened_rebound(port: int, attempts: Sequence[Attempt], directory: Path) -> list[Answer]:
    """What a page reads whose name leads to its server on ::1 until that is gone, and then to 127.0.0.1."""
    with Site("::1", port) as first, Site("127.0.0.1") as other:
        url = f"http://127.0.0.1:{other.port}"
        first.order("", attempts, report=f"{url}/report", first=f"{url}/leave")
        other.on_leave = first.close
        answers = visit(f"http://rebind.test:{port}/", other, directory, resolve="MAP rebind.test localhost")
    assert [seen.uri for seen in first.requests] == ["/"]
    assert len(answers) == len(attempts)
    return answers


@frozen
class Visit:
    """What came of a page's visit: to dtkdns, to the page, and in the log."""

    before: State
    after: State
    answers: list[Answer]
    answered: dict[Attempt, set[tuple[str, int]]]
    marked: bool
    """Whether the browser marks every call, also one whose answer it hides from the page, as cross-site."""


@pytest.fixture(scope="module", params=list(product(PAGES, HOSTS_CALLED)), ids="-".join)
def visited(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Visit:
    """A page elsewhere has made all its attempts on dtkdns."""
    page, host = request.param
    directory = tmp_path_factory.mktemp("visited")
    with service(directory) as running:
        before = running.state()
        answers = opened_elsewhere(page, host, running.dtkdns.port, FROM_ELSEWHERE, directory)
        return Visit(
            before,
            running.state(),
            answers,
            running.answered(FROM_ELSEWHERE),
            marked=host == "loopback" and page != "neighbour",
        )


def test_a_page_elsewhere_changes_nothing(visited: Visit) -> None:
    assert visited.after == visited.before


def test_whatever_a_page_elsewhere_sends_arrives_and_is_refused(visited: Visit) -> None:
    assert_refused(visited.answered, [*SENT_AT_ONCE, *FORMS, *ASKED_FOR_FIRST])


def test_a_page_elsewhere_reads_nothing(visited: Visit) -> None:
    assert set(visited.answers) == {NOTHING}


def test_a_reading_call_that_the_browser_marks_as_that_of_a_page_elsewhere_is_refused(visited: Visit) -> None:
    assert_refused(visited.answered, [*READ_BY_FETCH, *(READ_UNSEEN if visited.marked else [])])


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("host", HOSTS_CALLED)
def test_a_server_that_refuses_nothing_gets_all_that_a_page_elsewhere_sends(
    tmp_path: Path, page: str, host: str
) -> None:
    with Site("127.0.0.1") as open_to_all:
        answers = opened_elsewhere(page, host, open_to_all.port, FROM_ELSEWHERE, tmp_path)
    assert_all_arrived(open_to_all.requests, FROM_ELSEWHERE)
    for attempt, answer in zip(FROM_ELSEWHERE, answers, strict=True):
        assert answer == (Answer(200, LET_IN) if attempt.mode == "cors" else NOTHING), attempt


def test_a_page_that_rebinds_its_name_changes_nothing_and_reads_nothing(
    tmp_path: Path,
) -> None:
    with service(tmp_path) as running:
        before = running.state()
        answers = opened_rebound(running.dtkdns.port, SAME_ORIGIN, tmp_path)
        assert running.state() == before
        read = "\n".join(answer.text for answer in answers)
        assert not [secret for secret in SECRETS if secret in read], read
        assert_refused(running.answered(SAME_ORIGIN), SAME_ORIGIN)


def test_a_page_that_rebinds_its_name_is_let_in_by_a_server_that_refuses_nothing(tmp_path: Path) -> None:
    with Site("127.0.0.1") as open_to_all:
        answers = opened_rebound(open_to_all.port, SAME_ORIGIN, tmp_path)
    assert_all_arrived(open_to_all.requests, SAME_ORIGIN)
    assert {answer.text for answer in answers} == {LET_IN}
    assert {seen.headers["Host"] for seen in open_to_all.requests} == {f"rebind.test:{open_to_all.port}"}


def test_what_the_pages_try_does_change_dtkdns_when_a_program_of_this_machine_sends_it(tmp_path: Path) -> None:
    with service(tmp_path) as running:
        states = [running.state()]
        for path, body in HARMFUL.items():
            assert running.call("POST", path, body)[0] in {200, 204}
            states.append(running.state())
        for path in DELETED:
            assert running.call("DELETE", path)[0] == 200
            states.append(running.state())
        assert len(set(states)) == len(states)


def assert_refused(answered: dict[Attempt, set[tuple[str, int]]], attempts: Sequence[Attempt]) -> None:
    """Every attempt has reached dtkdns, in the way browsers send it, and has got nothing but refusals."""
    for attempt in attempts:
        method = "OPTIONS" if attempt in ASKED_FOR_FIRST else attempt.method
        assert {sent for sent, _status in answered[attempt]} == {method}, attempt
    let_in = {
        attempt: answered[attempt] for attempt in attempts if {code for _, code in answered[attempt]} - REFUSED
    }
    assert not let_in, "\n".join(f"{answers} {attempt}" for attempt, answers in let_in.items())


def assert_all_arrived(requests: list[Seen], attempts: Sequence[Attempt]) -> None:
    arrived = {(seen.method, seen.uri): seen for seen in requests}
    for number, attempt in enumerate(attempts):
        seen = arrived[attempt.method, f"{attempt.path}?attempt={number}"]
        assert seen.headers.get("Content-Type", "").startswith(attempt.media_type or ""), attempt
        if not attempt.form or attempt.media_type == "text/plain":
            assert seen.body.decode().strip().removesuffix("=") == attempt.body
