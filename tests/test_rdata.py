"""Targets of A and AAAA records: addresses in strict form, or a sentence that says why not."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dtkdns import rdata

ADDRESSES = st.one_of(
    st.ip_addresses(), st.ip_addresses(network="fe80::/10"), st.ip_addresses(network="224.0.0.0/3")
)


def outcome(text: str) -> tuple[rdata.Address | None, str]:
    """The address in a text, or else the sentence that refuses it."""
    try:
        return rdata.parse_address(text), ""
    except rdata.RdataError as error:
        return None, str(error)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.168.122.167", "192.168.122.167"),
        ("10.0.0.0", "10.0.0.0"),
        ("127.0.0.1", "127.0.0.1"),
        ("223.255.255.255", "223.255.255.255"),
        ("255.255.255.254", "255.255.255.254"),
        ("2001:DB8:0:0:0::00a1", "2001:db8::a1"),
        ("::1", "::1"),
        ("fe80::1", "fe80::1"),
        ("64:ff9b::192.0.2.1", "64:ff9b::c000:201"),
    ],
)
def test_an_address_is_read_into_its_one_canonical_form(text: str, canonical: str) -> None:
    assert str(rdata.parse_address(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "foo.dtk.io",
        "010.0.0.1",
        "10.0.0.01",
        "0x0a.0.0.1",
        "10.1",
        "167772161",
        "10.0.0.256",
        "10.0.0.1.",
        "10.0.0.1 ",
        " 10.0.0.1",
        "10.0.0.1\n",
        "10.0.0.1\x00",
        "10.0.0.1#",
        "10.0.0.1/32",
        "10.0.0.1:80",
        "10.0.0.1%eth0",
        "10.0.0.1,10.0.0.2",
        "\u0661\u0660.0.0.1",
        "\uff11\uff10.0.0.1",
        "10\u30020.0.1",
        "[::1]",
        "::1\n",
        "::1/128",
        "::1%",
        ":::1",
        "1::2::3",
        "12345::",
        "fe80::1%a%b",
        "::1\u2028",
        "\ud800",
    ],
)
def test_anything_but_one_bare_address_is_refused(text: str) -> None:
    with pytest.raises(rdata.RdataError, match="is not an IPv4 or IPv6 address"):
        rdata.parse_address(text)


@pytest.mark.parametrize("zone", ["eth0", "1", "a\n127.0.0.1 example.com", "#", "\x00", "\u2028", "z" * 1000])
def test_a_zone_is_refused_whatever_it_holds(zone: str) -> None:
    with pytest.raises(rdata.RdataError, match="has a zone") as caught:
        rdata.parse_address(f"fe80::1%{zone}")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", ["::ffff:10.0.0.1", "::FFFF:0a00:0001", "0:0:0:0:0:ffff:a00:1"])
def test_an_ipv4_address_written_as_ipv6_is_refused_and_the_right_form_named(text: str) -> None:
    with pytest.raises(rdata.RdataError, match=r"give 10\.0\.0\.1\."):
        rdata.parse_address(text)


@pytest.mark.parametrize(
    "text",
    [
        "0.0.0.0",
        "::",
        "0::0",
        "224.0.0.1",
        "239.255.255.255",
        "ff02::1",
        "ffff::",
        "255.255.255.255",
    ],
)
def test_the_unspecified_multicast_and_broadcast_addresses_are_no_single_machine(text: str) -> None:
    with pytest.raises(rdata.RdataError, match="is no address of a single machine"):
        rdata.parse_address(text)


@given(
    st.one_of(st.text(st.characters(exclude_categories=())), ADDRESSES.map(str), st.text("0123456789abf:.%[]/ \n"))
)
@example("x" * 81)
@example("\n" * 100_000)
@settings(max_examples=300)
def test_any_text_is_a_canonical_address_or_refused_in_one_short_printable_sentence(text: str) -> None:
    address, message = outcome(text)
    if address is None:
        assert message.isascii()
        assert message.isprintable()
        assert len(message) < 1000
    else:
        assert set(str(address)) <= set("0123456789abcdef:.")
        assert rdata.parse_address(str(address)) == address
        assert not address.is_unspecified
        assert not address.is_multicast


def test_a_long_text_is_shown_cut() -> None:
    with pytest.raises(rdata.RdataError) as caught:
        rdata.parse_address("x" * 80)
    assert str(caught.value).startswith(f"'{'x' * 80}' is")
    with pytest.raises(rdata.RdataError) as caught:
        rdata.parse_address("x" * 81)
    assert str(caught.value).startswith(f"'{'x' * 77}...' is")


def test_a_target_belongs_to_the_family_of_its_record_type() -> None:
    assert rdata.parse_target("A", "10.0.0.1") == ipaddress.IPv4Address("10.0.0.1")
    assert rdata.parse_target("AAAA", "2001:db8::1") == ipaddress.IPv6Address("2001:db8::1")
    with pytest.raises(rdata.RdataError, match=r"^2001:db8::1 is not an address for a record of type A\.$"):
        rdata.parse_target("A", "2001:DB8::1")
    with pytest.raises(rdata.RdataError, match=r"^10\.0\.0\.1 is not an address for a record of type AAAA\.$"):
        rdata.parse_target("AAAA", "10.0.0.1")
    with pytest.raises(rdata.RdataError, match="is not an IPv4 or IPv6 address"):
        rdata.parse_target("A", "foo.dtk.io")


def test_an_address_is_in_a_network_of_its_own_family_only() -> None:
    networks = [ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")]
    assert rdata.in_networks(rdata.parse_address("10.1.255.1"), networks)
    assert rdata.in_networks(rdata.parse_address("fd12::1"), networks)
    assert not rdata.in_networks(rdata.parse_address("10.2.0.1"), networks)
    assert not rdata.in_networks(rdata.parse_address("fe80::1"), networks)
    assert not rdata.in_networks(rdata.parse_address("10.1.255.1"), [ipaddress.ip_network("::/0")])
    assert not rdata.in_networks(rdata.parse_address("10.1.255.1"), [])
