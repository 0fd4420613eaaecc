"""Which peers are this machine, and what every peer may do."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import ifaddr
import pytest
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress

from dtkdns import access
from dtkdns.access import Access, Caller, interfaces, is_this_machine, peer_address

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


def attach(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let these be the addresses of this machine's interfaces, each with its network."""
    ips = []
    for text in addresses:
        address, _, prefix = text.partition("/")
        ips.append(ifaddr.IP((address, 0, 0) if ":" in address else address, int(prefix), "eth0"))
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: [ifaddr.Adapter("eth0", "eth0", ips)])


def caller(host: str, *, allow: str | None = None, management: str | None = "") -> Caller:
    """A peer under these options, each of them networks with commas between."""

    def networks(text: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
        return tuple(ipaddress.ip_network(network) for network in text.split(",") if network)

    rules = Access(
        None if allow is None else networks(allow), None if management is None else networks(management)
    )
    return rules.caller(peer(host))


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


@pytest.mark.parametrize("host", ["192.0.2.2", "::ffff:192.0.2.2", "2001:db8::2", "fe80::2", "fe80::2%lo"])
@pytest.mark.parametrize("bound", [4, 6])
def test_where_any_address_can_be_bound_the_addresses_of_the_interfaces_count(
    monkeypatch: pytest.MonkeyPatch, host: str, bound: int
) -> None:
    monkeypatch.setattr(access, "_nonlocal_bind", lambda version: version == bound)
    monkeypatch.setattr(access, "_bind", accept_all)
    attach(monkeypatch, "192.0.2.2/24", "2001:db8::2/64", "fe80::2/64")
    neighbour = peer(host.replace("2%lo", "3%lo") if "%" in host else f"{host[:-1]}3")
    any_can_be_bound = ipaddress.ip_address(str(peer_address(neighbour))).version == bound
    assert is_this_machine(peer(host))
    assert is_this_machine(neighbour) is not any_can_be_bound
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


# What a peer may do


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only loopback is this machine, which is attached to 203.0.113.0/28 and 2001:db8:1::/64."""
    monkeypatch.setattr(access, "_nonlocal_bind", lambda _version: False)
    monkeypatch.setattr(access, "_bind", refuse_all)
    attach(monkeypatch, "203.0.113.2/28", "2001:db8:1::2/64")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("host", "calls"),
    [
        ("10.255.255.255", True),
        ("11.0.0.0", False),
        ("172.16.0.1", True),
        ("172.31.255.255", True),
        ("172.32.0.0", False),
        ("192.168.0.1", True),
        ("192.169.0.0", False),
        ("169.254.1.1", True),
        ("100.64.0.1", False),
        ("fc00::1", True),
        ("fdff::1", True),
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("febf::1%nothing0", True),
        ("fec0::1", False),
        ("2001:db8::1", False),
        ("::ffff:192.168.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("203.0.113.15", True),
        ("::ffff:203.0.113.15", True),
        ("203.0.113.16", False),
        ("2001:db8:1::ffff", True),
        ("2001:db8:1:1::1", False),
    ],
)
def test_by_default_private_and_attached_networks_may_call_and_change_nothing(host: str, calls: bool) -> None:
    found = caller(host)
    assert (found.may_call, found.may_manage) == (calls, False)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.0.1", "203.0.113.15", "fe80::1%eth0", "8.8.4.4"])
def test_allow_replaces_the_default_and_this_machine_may_always_call(host: str) -> None:
    allow = "8.8.8.8/32,2001:db8:2::/48"
    assert not caller(host, allow=allow).may_call
    for allowed in ("8.8.8.8", "::ffff:8.8.8.8", "2001:db8:2::1"):
        assert caller(allowed, allow=allow) == Caller(allowed.removeprefix("::ffff:"), True, False)
    assert caller("127.0.0.1", allow=allow) == Caller("127.0.0.1", True, True)


@pytest.mark.usefixtures("elsewhere")
def test_who_may_change_the_rules_may_also_call() -> None:
    found = caller("8.8.8.8", allow="10.0.0.0/8", management="8.8.8.0/24")
    assert (found.may_call, found.may_manage) == (True, True)
    assert not caller("8.8.9.8", allow="10.0.0.0/8", management="8.8.8.0/24").may_call
    inside = caller("10.0.0.1", allow="10.0.0.0/8", management="8.8.8.0/24")
    assert (inside.may_call, inside.may_manage) == (True, False)


def test_with_management_none_nobody_changes_the_rules_and_all_may_call_that_might() -> None:
    local = Access(None, None).caller(UNIXAddress(None))
    assert [caller("127.0.0.1", management=None), local] == [
        Caller("127.0.0.1", True, False),
        Caller("a local program", True, False),
    ]


def test_a_program_on_a_unix_socket_may_do_everything_whatever_the_networks() -> None:
    assert Access((), ()).caller(UNIXAddress("/run/dtkdns.sock")) == Caller("a local program", True, True)


def test_a_peer_without_an_address_may_do_nothing() -> None:
    found = Access().caller(HostnameAddress(b"localhost", 1))
    assert (found.may_call, found.may_manage) == (False, False)


def test_a_network_that_would_be_the_whole_internet_is_the_address_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    attach(monkeypatch, "203.0.113.2/0", "2001:db8::2/0", "198.51.100.2/32")
    assert [str(interface.network) for interface in interfaces()] == [
        "203.0.113.2/32",
        "2001:db8::2/128",
        "198.51.100.2/32",
    ]


def test_the_real_interfaces_are_those_of_this_machine() -> None:
    found = interfaces()
    assert ipaddress.ip_interface("127.0.0.1/8") in found
    assert {str(interface.ip).partition("%")[0] for interface in found}.issuperset(own_addresses())


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("host", "options"),
    [
        ("127.0.0.1", {}),
        ("192.168.0.1", {}),
        ("8.8.8.8", {"management": "8.8.8.8/32"}),
        ("8.8.8.8", {"allow": "8.8.8.8/32"}),
        ("8.8.4.4", {"allow": "8.8.8.8/32"}),
    ],
)
def test_the_interfaces_are_listed_only_for_a_peer_that_is_not_known_without(
    monkeypatch: pytest.MonkeyPatch, host: str, options: dict[str, str]
) -> None:
    def unexpected() -> None:
        raise AssertionError("They were listed.")

    monkeypatch.setattr(ifaddr, "get_adapters", unexpected)
    caller(host, **options)
    with pytest.raises(AssertionError, match="listed"):
        caller("8.8.8.8")


def test_the_interfaces_are_listed_anew_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    attach(monkeypatch, "192.0.2.2/24")
    assert not caller("8.8.8.8").may_call
    attach(monkeypatch, "8.8.8.9/24")
    assert caller("8.8.8.8").may_call


def test_where_the_interfaces_cannot_be_listed_only_private_networks_may_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ifaddr, "get_adapters", lambda: refuse_all(socket.AF_INET, ()))
    assert interfaces() == []
    assert caller("192.168.0.1").may_call
    assert not caller("8.8.8.8").may_call
