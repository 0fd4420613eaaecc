"""Targets of records in strict form, as another library reads them, or a sentence that says why not."""

from __future__ import annotations

import ipaddress
from io import BytesIO

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
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


SERVED = ["CAA", "CNAME", "MX", "NAPTR", "NS", "PTR", "SRV", "TXT"]


def wire(record_type: str, target: str) -> bytes:
    """The data as it is sent."""
    number, payload = rdata.parse_record(record_type, target)
    assert number == dns.rdatatype.from_text(record_type)
    written = BytesIO()
    payload.encode(written)
    return written.getvalue()


def oracle(record_type: str, target: str) -> bytes:
    """The same from another library."""
    found = dns.rdata.from_text("IN", record_type, target, origin=dns.name.root, relativize=False)
    data: bytes = found.to_wire()
    return data


def txt(*strings: bytes) -> bytes:
    return b"".join(bytes([len(string)]) + string for string in strings)


@pytest.mark.parametrize(
    ("record_type", "target"),
    [
        ("CAA", '0 issue "letsencrypt.org"'),
        ("CAA", "128 iodef mailto:a@dtk.io"),
        ("CNAME", "_x.y.dtk.io"),
        ("CNAME", "b\u00fccher.dtk.io"),
        ("MX", "10 mail.dtk.io"),
        ("MX", "0 ."),
        ("NAPTR", '100 10 "u" "sip+E2U" "!^.*$!sip:info@example.com!" .'),
        ("NAPTR", '65535 0 s http+I2R "" _http._tcp.dtk.io.'),
        ("NS", "ns.dtk.io."),
        ("PTR", "x.dtk.io"),
        ("SRV", "0 50 80 abc.example.org."),
        ("SRV", "0 0 0 ."),
        ("TXT", '"a b" "c\\"d" "\\065\\\\"'),
        ("TXT", '""'),
        ("TXT", '"heritage=external-dns,external-dns/owner=default"'),
    ],
)
def test_a_text_as_in_a_zone_file_is_read_as_another_library_reads_it(record_type: str, target: str) -> None:
    assert wire(record_type, target) == oracle(record_type, target)


@pytest.mark.parametrize(
    ("target", "strings"),
    [
        ("v=spf1 include:x -all", [b"v=spf1 include:x -all"]),
        ("", [b""]),
        ("a\\b", [b"a\\b"]),
        ('say "hello"', [b'say "hello"']),
        ('"not closed', [b'"not closed']),
        ('"one" two', [b'"one" two']),
        ("b\u00fccher", ["b\u00fccher".encode()]),
        ("x" * 300, [b"x" * 255, b"x" * 45]),
        ('"' + "x" * 300 + '"', [b"x" * 255, b"x" * 45]),
    ],
)
def test_a_text_that_is_not_in_quotes_is_one_text_and_a_long_one_is_cut_into_strings(
    target: str, strings: list[bytes]
) -> None:
    assert wire("TXT", target) == txt(*strings)


@pytest.mark.parametrize(
    ("record_type", "target", "why"),
    [
        ("A", "10.0.0.1", "Records of type 'A' are not served."),
        ("SOA", "x", "Records of type 'SOA' are not served."),
        ("MX", "x y", "'x' is not a number up to 65535."),
        ("MX", "mail.dtk.io", "it is not: preference name."),
        ("SRV", "1 2 3", "it is not: priority weight port name."),
        ("SRV", "70000 1 1 a", "'70000' is not a number up to 65535."),
        ("SRV", "\u0663 1 1 a", "is not a number up to 65535."),
        ("SRV", "-1 1 1 a", "'-1' is not a number up to 65535."),
        ("NS", "a..b", "'a..b' is no name."),
        ("NS", "", "'' is no name."),
        ("NS", "a" * 64 + ".io", "is no name."),
        ("NS", "a." * 127 + "io", "is no name."),
        ("PTR", "a b.io", "holds what a name cannot."),
        ("PTR", "a\\b.io", "holds what a name cannot."),
        ("PTR", "\u2603\u2603.\ud800", "holds what a name cannot."),
        ("NAPTR", '1 1 "u" "x"', "it is not: order preference flags service regexp replacement."),
        ("NAPTR", '1 1 "u" "x" "unclosed .', "it is not: order preference"),
        ("NAPTR", f'1 1 "{"u" * 256}" "x" "" .', "a string has more than 255 bytes."),
        ("NAPTR", "\u0663 1 u x y .", "is not the data of a record of type NAPTR"),
        ("CAA", "0 issue", 'it is not: flags tag "value".'),
        ("CAA", "256 issue x", "'256' is not a number up to 255."),
        ("CAA", '0 is-sue "x"', "its tag is not letters and digits"),
        ("CAA", '0 issue "\\999"', "\\999 is no byte."),
        ("CAA", f'0 issue "{"x" * 70000}"', "longer than a record can be."),
        ("TXT", "x" * 70000, "longer than a record can be."),
    ],
)
def test_what_is_no_data_of_its_type_is_refused_with_the_reason(record_type: str, target: str, why: str) -> None:
    with pytest.raises(rdata.RdataError) as refused:
        rdata.parse_record(record_type, target)
    assert why in str(refused.value)
    assert len(str(refused.value)) < 500


@given(st.lists(st.binary(max_size=255), min_size=1, max_size=5))
def test_any_bytes_can_stand_in_quotes(strings: list[bytes]) -> None:
    quoted = " ".join('"' + "".join(f"\\{byte:03d}" for byte in string) + '"' for string in strings)
    assert wire("TXT", quoted) == txt(*strings)


@given(st.sampled_from(SERVED), st.text(max_size=60))
def test_any_text_is_data_that_can_be_read_back_or_refused(record_type: str, target: str) -> None:
    try:
        data = wire(record_type, target)
    except rdata.RdataError:
        return
    number = dns.rdatatype.from_text(record_type)
    assert dns.rdata.from_wire(dns.rdataclass.IN, number, data, 0, len(data)).to_wire() == data
