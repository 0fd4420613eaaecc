"""The command line: what it takes, and that every fault in it is one sentence and exit status 1."""

from __future__ import annotations

import errno
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from dtkdns import tap
from dtkdns.access import Access
from dtkdns.service import WebhookService
from dtkdns.tap import Options, makeService
from running import endpoint, running

TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "--pidfile="]


def options(directory: Path, *more: str) -> Options:
    made = Options()
    hosts = directory / "hosts"
    hosts.touch()
    own = ["--port", "tcp:0", "--hosts-file", str(hosts), "--state", str(directory / "state")]
    made.parseOptions([*own, *more])
    return made


def made(directory: Path, *more: str) -> WebhookService:
    service = makeService(options(directory, *more))
    assert isinstance(service, WebhookService)
    return service


@contextmanager
def taken(kind: socket.SocketKind) -> Iterator[int]:
    """A port of the loopback address at which something else listens."""
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        yield other.getsockname()[1]


def exit_sentence(directory: Path, *more: str) -> str:
    with pytest.raises(SystemExit) as raised:
        makeService(options(directory, *more))
    sentence = str(raised.value)
    assert sentence.startswith("dtkdns: ")
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("--domains=a b", "letters"),
        ("--domains=", "empty"),
        ("--cluster-ip=x", "not an IPv4"),
        ("--routable=10.0.0.1/8", "give a network"),
        ("--allow=10.0.0.1/8", "--allow: 10.0.0.1/8 has host bits set: give a network"),
        ("--allow=", "--allow: "),
        ("--allow-management=nobody", "--allow-management: 'nobody' does not appear"),
        ("--allow-host=a b", "--allow-host: 'a b' is not a domain"),
        ("--allow-host=10.0.0.1", "--allow-host: '10.0.0.1' is an address"),
        ("--dns=localhost", "--dns: 'localhost' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("--dns=", "--dns: '' is not ADDRESS:PORT"),
        (
            "--dns=192.0.2.1:5053",
            "--dns: 192.0.2.1:5053 for DNS is no address of this machine: give one of its own",
        ),
        ("--dns=0,[2001:db8::1]:0", "--dns: [2001:db8::1]:0 for DNS is no address of this machine"),
        ("--credentials=/nowhere/at/all", "/nowhere/at/all cannot be read (No such file or directory)"),
        ("--credentials=/dev/null", "/dev/null is open to other users: chmod 600"),
        (
            "--domains=" + ",".join(f"a{number}.io" for number in range(101)),
            "100 domains at most, and these are 101",
        ),
        ("--port=http", "give a number"),
        ("--port=65536", "give a number"),
        ("--port=nonsense:5000", "is not an endpoint"),
        ("--hosts-file=/nowhere/at/all/hosts", "There is no directory"),
        ("--hosts-file=/", "is not a regular file"),
        ("--state=/dev/null/state", "cannot be made"),
        ("--unknown", "not recognized"),
        ("stray", "is not an option"),
    ],
)
def test_a_wrong_value_is_one_sentence(tmp_path: Path, option: str, word: str) -> None:
    assert word in exit_sentence(tmp_path, option)


@pytest.mark.parametrize("name", ["dtk.io", "www.dtk.io", "WWW.DTK.IO."])
def test_a_managed_name_cannot_be_one_of_this_machine(tmp_path: Path, name: str) -> None:
    sentence = exit_sentence(tmp_path, "--domains=dtk.io", f"--allow-host=desk.lan,{name}")
    assert sentence.endswith(
        f"{name.lower().rstrip('.')} lies in a managed domain, so it cannot stand for this machine."
    )
    assert tap._host_names(options(tmp_path, "--allow-host=DESK.lan,evildtk.io"), ("dtk.io",)) == {
        "desk.lan",
        "evildtk.io",
    }


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], Access(None, ())),
        (["--allow=192.0.2.0/24,fd00::/8"], Access((ip_network("192.0.2.0/24"), ip_network("fd00::/8")), ())),
        (["--allow-management=10.0.0.1"], Access(None, (ip_network("10.0.0.1/32"),))),
        (["--allow-management=none"], Access(None, None)),
        (["--allow-management="], Access(None, ())),
    ],
)
def test_who_may_call_is_as_the_options_say(tmp_path: Path, more: list[str], expected: Access) -> None:
    assert tap._access(options(tmp_path, *more)) == expected


def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"Port {port} is taken" in exit_sentence(tmp_path, "--port", str(port))


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM], ids=["TCP", "UDP"])
def test_an_address_for_dns_that_is_taken_is_said_with_its_option(tmp_path: Path, kind: socket.SocketKind) -> None:
    with taken(kind) as port:
        assert exit_sentence(tmp_path, f"--dns=127.0.0.1:0,{port}") == (
            f"dtkdns: --dns: 127.0.0.1:{port} for DNS is taken: stop what answers there"
            f" (sudo ss -lntup 'sport = {port}'), or give another --dns."
        )


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.EACCES, "127.0.0.1:53 for DNS needs the right to open it: use sudo, or a port above 1023."),
        (
            errno.ENOBUFS,
            "127.0.0.1:53 for DNS cannot be listened at (No buffer space available): give another --dns.",
        ),
    ],
)
def test_an_address_for_dns_that_cannot_be_opened_is_said_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def refused(_self: socket.socket, _address: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refused)
    assert exit_sentence(tmp_path, "--dns=53") == f"dtkdns: --dns: {remedy}"


def test_where_nothing_is_said_of_dns_a_taken_port_is_a_warning_and_names_are_in_the_hosts_file_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log_lines: list[str]
) -> None:
    monkeypatch.setattr(tap, "DNS_DEFAULT", "127.0.0.1:0")
    assert made(tmp_path)._dns is not None
    with taken(socket.SOCK_DGRAM) as port:
        monkeypatch.setattr(tap, "DNS_DEFAULT", f"127.0.0.1:{port}")
        service = made(tmp_path)
    assert service._dns is None
    assert service._hosts is not None
    (line,) = log_lines
    assert line.startswith(f"127.0.0.1:{port} for DNS is taken: stop what answers there")
    assert line.endswith(" Until then names are in the hosts file only.")


def test_where_no_hosts_file_is_kept_a_taken_port_is_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with taken(socket.SOCK_DGRAM) as port:
        monkeypatch.setattr(tap, "DNS_DEFAULT", f"127.0.0.1:{port}")
        sentence = exit_sentence(tmp_path, "--hosts-file=none")
    assert sentence.startswith(f"dtkdns: --dns: 127.0.0.1:{port} for DNS is taken: ")


def test_dns_or_a_hosts_file_may_be_left_out_but_not_both(tmp_path: Path) -> None:
    assert made(tmp_path, "--dns=off")._dns is None
    assert made(tmp_path, "--dns=0", "--hosts-file=none")._hosts is None
    assert exit_sentence(tmp_path, "--dns=off", "--hosts-file=none") == (
        "dtkdns: With --hosts-file none and --dns off nothing would show the names: leave out one."
    )


def test_a_port_without_the_right_to_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(_self: socket.socket, _address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tap, "_ipv6_serves_both", lambda: False)
    monkeypatch.setattr(socket.socket, "bind", forbidden)
    assert "No right to listen on port 53" in exit_sentence(tmp_path, "--port", "53")


def test_a_port_number_serves_both_families_where_that_is_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tap.find_endpoint("0") == ("tcp6:0" if tap._ipv6_serves_both() else "tcp:0")

    def refused(_self: socket.socket, _address: object) -> None:
        raise OSError(99, "Cannot assign requested address")

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "bind", refused)
        assert not tap._ipv6_serves_both()
    monkeypatch.setattr(socket.socket, "getsockopt", lambda *_args: 1)
    assert tap.find_endpoint("0") == "tcp:0"


def test_both_forms_of_an_option_are_taken(tmp_path: Path) -> None:
    for form in (["--domains=a.io,b.io"], ["--domains", "a.io,b.io"]):
        assert options(tmp_path, *form)["domains"] == "a.io,b.io"


def test_making_the_service_opens_nothing(tmp_path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))
    makeService(options(tmp_path))
    assert set(os.listdir("/proc/self/fd")) == before
    assert os.listdir(tmp_path / "state") == ["lock"]


def test_a_dry_run_of_an_unreadable_database_is_one_sentence(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "records.sqlite").write_bytes(b"no database" * 1000)
    assert "cannot be read" in exit_sentence(tmp_path, "--dry-run")


@pytest.mark.parametrize("mode", ["-n", "--logfile=log"])
def test_a_fault_ends_twistd_with_status_1_and_no_traceback(tmp_path: Path, mode: str) -> None:
    done = subprocess.run(
        [*TWISTD, mode, "dtkdns", "--cluster-ip", "x"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == ["dtkdns: --cluster-ip: 'x' is not an IPv4 or IPv6 address."]
    assert done.stdout == ""


def test_help_lists_the_options(tmp_path: Path) -> None:
    done = subprocess.run([*TWISTD, "dtkdns", "--help"], cwd=tmp_path, capture_output=True, text=True, check=True)
    options = (
        "--port",
        "--domains",
        "--cluster-ip",
        "--routable",
        "--hosts-file",
        "--dns",
        "--state",
        "--dry-run",
        "--allow",
    )
    for option in (*options, "--allow-management", "--allow-host", "--credentials", "--config"):
        assert option in done.stdout


@ensureDeferred
async def test_nothing_in_the_state_directory_is_for_others_but_the_services_url(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        async with running(tmp_path) as service:
            await service.change(create=[endpoint("foo.dtk.io", "10.0.0.1")])
            await service.call("POST", "/domains", b"lab.io")
            state = tmp_path / "state"
            assert stat.S_IMODE(state.stat().st_mode) == 0o711
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in state.iterdir()}
    finally:
        os.umask(mask)
    assert modes.pop("url") == 0o644
    assert {"records.sqlite", "records.sqlite-wal", "posted.json"} <= modes.keys()
    assert set(modes.values()) == {0o600}
