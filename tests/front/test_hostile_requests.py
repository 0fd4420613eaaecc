"""Requests that are malformed, that two servers would read in two ways, or that a page of somebody else makes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import define, frozen

from process import Dtkdns, call, dtkdns

from .exchange import Answer, answers_before_leaving, answers_to
from .hostile_requests import LANDS_ON, TABLE, Row

HOSTS = b"127.0.0.1 localhost\n"
ADDRESS = "192.168.122.167"
KEPT = [
    {"dnsName": "kept.dtk.io", "targets": ["10.0.0.1"], "recordType": "A"},
    {"dnsName": "a-kept.dtk.io", "targets": ['"owner"'], "recordType": "TXT"},
]
PLAIN = {"text/plain; charset=utf-8", "text/plain; version=0.0.4; charset=utf-8"}
FOR_PROGRAMS = {"application/json", "application/external.dns.webhook+json;version=1"}


@frozen
class State:
    """Everything that a request might change."""

    hosts: bytes
    answers: tuple[tuple[int, bytes], ...]


@define
class Service:
    """A dtkdns with two domains, an address and two records."""

    dtkdns: Dtkdns
    hosts: Path
    _last: State | None = None

    def call(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        with self.dtkdns.connection() as connection:
            return call(connection, method, path, body)

    def state(self) -> State:
        """Asked for over new connections."""
        answers = tuple(self.call("GET", path) for path in ("/domains", "/clusterip", "/records", "/healthz"))
        assert [status for status, _body in answers] == [200, 200, 200, 200]
        return State(self.hosts.read_bytes(), answers)

    def since_last(self) -> tuple[State | None, State]:
        """The state when this was asked last, and now."""
        before, self._last = self._last, self.state()
        return before, self._last

    def has_no_fault(self) -> None:
        log = "".join(self.dtkdns.log)
        assert "Traceback" not in log, log
        assert "fault of dtkdns" not in log, log


@pytest.fixture(autouse=True)
def no_lost_errors() -> None:
    """Instead of the search after every test: dtkdns is a process of its own here, whose log is looked at."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    directory = tmp_path_factory.mktemp("dtkdns")
    hosts = directory / "hosts"
    hosts.write_bytes(HOSTS)
    options = ["--port", "tcp:0:interface=127.0.0.1", "--state", str(directory / "state"), "--debug"]
    with dtkdns(*options, "--hosts-file", str(hosts), "--domains", "dtk.io") as process:
        service = Service(process, hosts)
        assert service.call("POST", "/domains", "lab.io")[0] == 200
        assert service.call("POST", "/clusterip", ADDRESS)[0] == 200
        assert service.call("POST", "/records", json.dumps({"create": KEPT}))[0] == 204
        service.since_last()
        assert f"{ADDRESS} kept.dtk.io".encode() in hosts.read_bytes()
        yield service
        process.stop()
        service.has_no_fault()


def is_safe(answer: Answer) -> None:
    """No answer sends the client elsewhere, is a page, or lets another page read it."""
    assert not 300 <= answer.status < 400, answer
    assert not [name for name, _value in answer.headers if name.startswith("access-control-")], answer
    assert answer.status != 405 or answer.header("allow"), answer
    if answer.status >= 200 and answer.status != 204:
        assert answer.header("content-type") in PLAIN | (FOR_PROGRAMS if answer.status == 200 else set()), answer


def is_answered(row: Row, service: Service) -> None:
    """As the row says, once; nothing is changed by it, and dtkdns goes on."""
    port = service.dtkdns.port
    answers = answers_to(port, row.sent, bare=row.bare) if row.right else answers_before_leaving(port, row.sent)
    before, after = service.since_last()
    statuses = [answer.status for answer in answers]
    interim = [100] if row.interim else []
    # A connection that goes on has answered one more request, with which the test ends it.
    rights = [[*interim, right, *more] for right in row.right for more in ([], [200])] or [[]]
    assert statuses in rights
    assert len(statuses) <= len(interim) + 1 or answers[-1].body == b"ok\n"
    assert after == before
    for answer in answers:
        is_safe(answer)
    service.has_no_fault()


def rows(group: str) -> pytest.MarkDecorator:
    names = [row.name for row in TABLE[group]]
    assert len(names) == len(set(names)), "two rows have one name"
    return pytest.mark.parametrize("row", TABLE[group], ids=names)


@rows("pages")
def test_a_page_of_somebody_else_changes_and_reads_nothing(row: Row, service: Service) -> None:
    is_answered(row, service)


@rows("hosts")
def test_a_name_that_leads_here_gives_no_power_over_the_rules(row: Row, service: Service) -> None:
    is_answered(row, service)


@rows("request_lines")
def test_a_request_line_is_taken_in_one_form_alone(row: Row, service: Service) -> None:
    is_answered(row, service)


@rows("lengths")
def test_no_length_hides_a_second_request(row: Row, service: Service) -> None:
    is_answered(row, service)


@rows("codings")
def test_no_transfer_coding_hides_a_second_request(row: Row, service: Service) -> None:
    is_answered(row, service)


@rows("chunks")
def test_no_chunk_or_trailer_hides_a_second_request(row: Row, service: Service) -> None:
    is_answered(row, service)


@rows("fields")
def test_a_header_field_that_is_malformed_or_too_much_is_refused(row: Row, service: Service) -> None:
    is_answered(row, service)


@rows("sizes")
def test_a_body_that_is_too_large_or_refused_is_not_asked_for(row: Row, service: Service) -> None:
    is_answered(row, service)


@rows("paths")
def test_a_path_leads_to_its_route_or_nowhere(row: Row, service: Service) -> None:
    is_answered(row, service)


@pytest.mark.parametrize(("path", "place"), LANDS_ON.items(), ids=map(ascii, LANDS_ON))
def test_spellings_of_one_path_get_one_answer(path: bytes, place: bytes, service: Service) -> None:
    found = [
        answers_to(service.dtkdns.port, b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" % spelling)[0]
        for spelling in (path, place)
    ]
    assert found[0].body == found[1].body


@pytest.mark.parametrize("marks", [(), ("Origin: http://127.0.0.1:{}",), ("Sec-Fetch-Site: none",)], ids=str)
def test_dtks_own_calls_and_those_of_our_own_origin_go_on_working(
    marks: tuple[str, ...], service: Service
) -> None:
    port = service.dtkdns.port
    domains = json.loads(service.call("GET", "/domains")[1])
    for path, body in (("/domains", "other.io"), ("/clusterip", "192.168.122.168")):
        # As curl -d sends it.
        head = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "User-Agent: curl/8.5.0", "Accept: */*"]
        head += [mark.format(port) for mark in marks]
        head += [f"Content-Length: {len(body)}", "Content-Type: application/x-www-form-urlencoded", "", body]
        answers = answers_to(port, "\r\n".join(head).encode())
        assert [answer.status for answer in answers] == [200, 200]
        is_safe(answers[0])
        assert body in answers[0].body.decode()
    assert json.loads(service.call("GET", "/domains")[1]) == [*domains, "other.io"]
    assert b"192.168.122.168 kept.dtk.io" in service.hosts.read_bytes()
    assert service.call("POST", "/clusterip", ADDRESS)[0] == 200
    assert service.call("DELETE", "/domains/other.io")[0] == 200
    before, after = service.since_last()
    assert after == before
