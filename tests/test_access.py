"""Which peers are this machine."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import pytest
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from dtkdns import access
from dtkdns.access import is_this_machine, peer_address

FOREIGN = ["192.0.2.1", "203.0.113.7", "2001:db8::7", "::ffff:192.0.2.1", "fe80::7%lo", "fe80::7%nothing0"]


def peer(host: str) -> IAddress:
    found: IAddress = IPv6Address("TCP", host, 40000) if ":" in host else IPv4Address("TCP", host, 40000)
    return found


def own_addresses() -> list[str]:
    """Addresses of this machine, beside loopback where it has any."""
    found = ["127.0.0.1"]
    for family, far in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((far, 9))
                found.append(probe.getsockname()[0])
        except OSError:
            continue
    return found


def refuse_all(family: socket.AddressFamily, where: tuple[object, ...]) -> None:
    raise OSError(99, f"Cannot assign requested address {where}")


def accept_all(family: socket.AddressFamily, where: tuple[object, ...]) -> None:
    pass


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1", "::ffff:127.9.9.9"])
def test_loopback_is_this_machine_without_a_look_at_the_kernel(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_bind", refuse_all)
    assert is_this_machine(peer(host))


@pytest.mark.parametrize("name", ["/run/dtkdns.sock", None])
def test_a_unix_socket_is_this_machine(name: str | None) -> None:
    assert is_this_machine(UNIXAddress(name))


def test_an_address_of_an_interface_is_this_machine_mapped_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_nonlocal_bind", lambda _version: False)
    for host in own_addresses():
        assert is_this_machine(peer(host))
        if ":" not in host:
            assert is_this_machine(peer(f"::ffff:{host}"))


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_address_is_not_this_machine(host: str) -> None:
    assert not is_this_machine(peer(host))


def test_what_is_no_internet_address_is_not_this_machine() -> None:
    assert not is_this_machine(HostnameAddress(b"localhost", 1))
    assert peer_address(HostnameAddress(b"localhost", 1)) is None
    assert peer_address(UNIXAddress("/run/dtkdns.sock")) is None


def test_a_mapped_peer_is_told_as_ipv4() -> None:
    assert peer_address(peer("::ffff:192.0.2.1")) == ipaddress.ip_address("192.0.2.1")
    assert peer_address(peer("192.0.2.1")) == ipaddress.ip_address("192.0.2.1")
    assert peer_address(peer("2001:db8::1")) == ipaddress.ip_address("2001:db8::1")


def test_the_very_address_of_the_peer_is_tried_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []
    monkeypatch.setattr(access, "_nonlocal_bind", lambda _version: False)
    monkeypatch.setattr(access, "_bind", lambda family, where: tried.append((family, where)))
    for host in ("192.0.2.1", "::ffff:192.0.2.2", "2001:db8::1", "fe80::1%lo"):
        assert is_this_machine(peer(host))
    assert tried == [
        (socket.AF_INET, ("192.0.2.1", 0)),
        (socket.AF_INET, ("192.0.2.2", 0)),
        (socket.AF_INET6, ("2001:db8::1", 0, 0, 0)),
        (socket.AF_INET6, ("fe80::1", 0, 0, socket.if_nametoindex("lo"))),
    ]


@pytest.mark.parametrize(("set_for", "foreign"), [(4, "192.0.2.1"), (4, "::ffff:192.0.2.1"), (6, "2001:db8::7")])
def test_where_any_address_can_be_bound_only_loopback_counts(
    monkeypatch: pytest.MonkeyPatch, set_for: int, foreign: str
) -> None:
    monkeypatch.setattr(access, "_nonlocal_bind", lambda version: version == set_for)
    monkeypatch.setattr(access, "_bind", accept_all)
    assert not is_this_machine(peer(foreign))
    assert is_this_machine(peer("127.0.0.1"))
    assert is_this_machine(peer("::1"))


@pytest.mark.parametrize(("content", "is_set"), [("0\n", False), ("1\n", True), ("2", True)])
def test_the_kernels_setting_is_read_for_the_family_of_the_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, is_set: bool
) -> None:
    (tmp_path / "setting").write_text(content)
    asked: list[str] = []

    def open_setting(path: str, mode: str) -> object:
        asked.append(path)
        return (tmp_path / "setting").open(mode)

    monkeypatch.setattr(access, "open", open_setting, raising=False)
    assert [access._nonlocal_bind(version) for version in (4, 6)] == [is_set, is_set]
    assert asked == ["/proc/sys/net/ipv4/ip_nonlocal_bind", "/proc/sys/net/ipv6/ip_nonlocal_bind"]


def test_a_kernel_without_the_setting_binds_its_own_addresses_only() -> None:
    assert not access._nonlocal_bind(5)
