"""What the doctor makes of the hosts file and of those who write it."""

from __future__ import annotations

import pytest
from attrs import evolve

from dtkdns.cli.doctor import writers
from dtkdns.cli.doctor.finding import Finding, Level
from dtkdns.cli.doctor.hosts import freshness, left_behind, way
from dtkdns.hosts.entries import Entries, make_entry
from dtkdns.hosts.text import splice
from dtkdns.status import HostsStatus, NameStatus, ServiceStatus
from examples import HEALTHY, NOW

ADDRESS = "192.168.122.167"
HOSTS = HostsStatus("/etc/hosts", "rename", NOW)
USERS = b"127.0.0.1 localhost\n"


def named(*found: tuple[str, tuple[str, ...]]) -> ServiceStatus:
    """A service that shows these names."""
    return evolve(
        HEALTHY, names=tuple(NameStatus(name, to, "default", "ingress/a/b", 0, NOW) for name, to in found)
    )


def written(*found: tuple[str, tuple[str, ...]], users: bytes = USERS) -> bytes:
    """A hosts file in which dtkdns has written these names."""
    entries = Entries([make_entry(name, to, "", "ingress/a/b") for name, to in found])
    return splice(users, entries, "0123abcd").text


A, B = ("a.dtk.io", (ADDRESS,)), ("b.dtk.io", (ADDRESS, "fd00::7"))
WILD = ("*.apps.dtk.io", (ADDRESS,))


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        ((A, B), written(A, B)),
        ((A, B, WILD), written(A, B)),
        ((), USERS),
        ((A,), written(A, users=USERS + b"10.1.1.1 other.lan\n")),
        ((A, B), written(A, B, users=USERS + b"10.1.1.1 a.dtk.io\n")),
        ((A, B), written(A, B, users=USERS + f"{ADDRESS} a.dtk.io b.dtk.io\n".encode())),
        ((A,), USERS + b"10.1.1.1 a.dtk.io\n"),
    ],
    ids=["names", "wildcard", "nothing", "lines of others", "shadowed", "our very address", "all shadowed"],
)
def test_a_block_that_is_what_it_should_be_is_ok(
    shown: tuple[tuple[str, tuple[str, ...]], ...], text: bytes
) -> None:
    assert freshness(named(*shown), HOSTS, text).level is Level.OK


@pytest.mark.parametrize(
    ("shown", "text", "said"),
    [
        ((A,), None, "/etc/hosts cannot be read."),
        ((A,), USERS, "/etc/hosts has no block of dtkdns."),
        ((A, B), written(A), "/etc/hosts has a stale block: b.dtk.io not as they should be."),
        ((A,), written(("a.dtk.io", ("10.0.0.1",))), "has a stale block: a.dtk.io not"),
        ((A,), written(A, B), "has a block that is not this dtkdns': b.dtk.io are none of its names."),
        ((), written(A, B), "has a block that is not this dtkdns': a.dtk.io, b.dtk.io are"),
        ((A,), written(A).replace(b"# END", b"# ENDED"), "has a block that was changed by others."),
        (
            tuple((f"n{number}.dtk.io", (ADDRESS,)) for number in range(5)),
            written(A),
            "n0.dtk.io, n1.dtk.io, n2.dtk.io and 2 more not",
        ),
    ],
    ids=["unreadable", "missing", "lacks one", "other address", "one too many", "foreign", "torn", "many"],
)
def test_a_block_that_is_not_what_it_should_be_is_a_fault(
    shown: tuple[tuple[str, tuple[str, ...]], ...], text: bytes | None, said: str
) -> None:
    found = freshness(named(*shown), HOSTS, text)
    assert (found.check, found.level) == ("hosts file", Level.FAULT)
    assert said in found.detail
    assert found.advice


def test_writing_in_place_is_a_warning_with_its_reason() -> None:
    assert way(HOSTS).level is Level.OK
    found = way(evolve(HOSTS, way="in place (because the file has 2 hard links)"))
    assert found.level is Level.WARNING
    assert "because the file has 2 hard links" in found.detail


def test_a_block_in_a_file_that_is_not_kept_is_a_fault() -> None:
    assert left_behind("/etc/hosts", USERS).level is Level.OK
    assert left_behind("/etc/hosts", None).level is Level.OK
    assert left_behind("/etc/hosts", written(A)).level is Level.FAULT


MAIN = "/etc/cloud/cloud.cfg"
MORE = "/etc/cloud/cloud.cfg.d/90-hosts.cfg"


@pytest.mark.parametrize(
    ("texts", "source"),
    [
        ({MAIN: "users:\n  - default\n"}, None),
        ({MAIN: "manage_etc_hosts: true\n"}, MAIN),
        ({MAIN: "manage_etc_hosts: false\n", MORE: "manage_etc_hosts: template\n"}, MORE),
        ({MAIN: "manage_etc_hosts: true\n", MORE: "manage_etc_hosts: False\n"}, None),
        ({MAIN: "manage_etc_hosts: localhost\n"}, None),
        ({MAIN: "- a\n", MORE: "a: [\n"}, None),
        ({MAIN: ""}, None),
    ],
)
def test_cloud_init_that_writes_the_hosts_file_is_a_warning(texts: dict[str, str], source: str | None) -> None:
    said(list(writers.cloud_init(texts)), source)


def test_nixos_that_writes_the_hosts_file_is_a_warning() -> None:
    said(list(writers.nixos(is_nixos=False, target="")), None)
    said(list(writers.nixos(is_nixos=False, target="/run/hosts")), None)
    said(list(writers.nixos(is_nixos=True, target="")), "at every nixos-rebuild switch")
    said(list(writers.nixos(is_nixos=True, target="/nix/store/x-hosts")), "a link to /nix/store/x-hosts")


def test_docker_desktop_that_writes_the_hosts_file_is_a_warning() -> None:
    lines = USERS + b"# Added by Docker Desktop\n192.168.0.12 host.docker.internal\n# End of section\n"
    said(list(writers.docker_desktop(lines)), "Docker Desktop")
    said(list(writers.docker_desktop(USERS)), None)
    said(list(writers.docker_desktop(None)), None)


def said(findings: list[Finding], text: str | None) -> None:
    """See that there is one warning that says this, or none."""
    if text is None:
        assert findings == []
        return
    (found,) = findings
    assert found.level is Level.WARNING
    assert text in found.detail
    assert found.advice
