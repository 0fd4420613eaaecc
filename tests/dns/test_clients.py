"""What the programs with which people look at DNS are told, when they ask dtkdns itself."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import pytest

from .dig import Reply, dig
from .serving import DEFAULT_TTL, ELSEWHERE, RECORDS, V4, V6, Server, need, serving

LARGE = tuple(f'large.dtk.io. {DEFAULT_TTL} IN TXT "{number:02} {"x" * 95}"' for number in range(20))
MEDIUM = tuple(f'medium.dtk.io. {DEFAULT_TTL} IN TXT "{number} {"y" * 95}"' for number in range(6))
SERVERS = ("sub.dtk.io. 5 IN NS ns.example.com.", "sub.dtk.io. 5 IN NS ns.sub.dtk.io.")
GLUE = (f"ns.sub.dtk.io. 5 IN A {V4}", f"ns.sub.dtk.io. 5 IN AAAA {V6}")

ANSWERS = {
    "foo.dtk.io A": (f"foo.dtk.io. 60 IN A {V4}",),
    "foo.dtk.io AAAA": (f"foo.dtk.io. 60 IN AAAA {V6}",),
    "foo.dtk.io. A": (f"foo.dtk.io. 60 IN A {V4}",),
    "any.apps.dtk.io A": (f"any.apps.dtk.io. 61 IN A {V4}",),
    "any.thing.apps.dtk.io AAAA": (f"any.thing.apps.dtk.io. 61 IN AAAA {V6}",),
    "*.apps.dtk.io A": (f"*.apps.dtk.io. 61 IN A {V4}",),
    "x.apps.dtk.io A": (f"x.apps.dtk.io. 62 IN A {V4}",),
    "leaf.empty.dtk.io A": (f"leaf.empty.dtk.io. 5 IN A {V4}",),
    "text.dtk.io TXT": (
        'text.dtk.io. 63 IN TXT "no quotes"',
        'text.dtk.io. 63 IN TXT "two" "strings"',
        'text.dtk.io. 63 IN TXT "v=spf1 -all"',
    ),
    "_http._tcp.dtk.io SRV": ("_http._tcp.dtk.io. 5 IN SRV 10 5 8080 foo.dtk.io.",),
    "mail.dtk.io MX": ("mail.dtk.io. 5 IN MX 10 foo.dtk.io.", "mail.dtk.io. 5 IN MX 20 mx.example.com."),
    "caa.dtk.io CAA": ('caa.dtk.io. 5 IN CAA 0 issue "letsencrypt.org"',),
    "naptr.dtk.io NAPTR": ('naptr.dtk.io. 5 IN NAPTR 100 50 "s" "z3950+N2L+N2C" "" foo.dtk.io.',),
    f"-x {V4}": ("167.122.168.192.in-addr.arpa. 5 IN PTR foo.dtk.io.",),
    "www.shop.io A": ("www.shop.io. 5 IN CNAME www.example.com.",),
    "www.shop.io CNAME": ("www.shop.io. 5 IN CNAME www.example.com.",),
    "foo.dtk.io ANY": (f"foo.dtk.io. 60 IN A {V4}",),
    "mail.dtk.io ANY": ("mail.dtk.io. 5 IN MX 10 foo.dtk.io.", "mail.dtk.io. 5 IN MX 20 mx.example.com."),
    "dtk.io NS": ("dtk.io. 5 IN NS localhost.",),
    "large.dtk.io TXT": LARGE,
    "medium.dtk.io TXT": MEDIUM,
}
"""What dig is asked, and the records with which it is answered with authority."""
NOT_THERE = ("nope.dtk.io", "no.foo.dtk.io", "no.x.apps.dtk.io", "no.below.apps.dtk.io", "no.leaf.empty.dtk.io")
NOTHING_OF_IT = (
    "text.dtk.io A",
    "foo.dtk.io TXT",
    "foo.dtk.io HTTPS",
    "foo.dtk.io TYPE1234",
    "any.apps.dtk.io TXT",
    "text.apps.dtk.io A",
    "empty.dtk.io A",
    "below.apps.dtk.io A",
    "apps.dtk.io A",
    "dtk.io A",
)
"""Names that exist, some only because of names below them, and types that they do not have."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A dtkdns with records of every kind, at 127.0.0.1 and ::1."""
    directory = tmp_path_factory.mktemp("clients")
    with serving(directory, dns="127.0.0.1:0,[::1]:0", domains="dtk.io,168.192.in-addr.arpa") as running:
        running.change(create=RECORDS)
        running.call("POST", "/clusters/shop/domains", "shop.io")
        running.change("/clusters/shop", create=ELSEWHERE)
        yield running


def ask(server: Server, *question: str) -> Reply:
    return dig("127.0.0.1", server.service.dns_port, *question)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    need(command[0])
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("option", ["", "+tcp", "+noedns", "+bufsize=512", "+bufsize=4096", "+cookie"])
@pytest.mark.parametrize("question", ANSWERS)
def test_dig_is_answered_with_authority_however_it_asks(server: Server, question: str, option: str) -> None:
    reply = ask(server, *question.split(), *option.split())
    assert (reply.status, reply.answers, reply.authority, reply.additional) == (
        "NOERROR",
        ANSWERS[question],
        (),
        (),
    )
    assert reply.flags == {"qr", "aa", "rd"}
    assert reply.edns == (None if option == "+noedns" else {"version": 0, "flags": None, "udp": 1232})


@pytest.mark.parametrize("name", NOT_THERE)
@pytest.mark.parametrize("option", ["+notcp", "+tcp", "+noedns"])
def test_dig_is_told_that_a_name_is_not_there_and_for_how_long_that_is_true(
    server: Server, name: str, option: str
) -> None:
    reply = ask(server, name, option)
    assert (reply.status, reply.answers, reply.flags) == ("NXDOMAIN", (), {"qr", "aa", "rd"})
    assert_soa(reply.authority)


@pytest.mark.parametrize("question", NOTHING_OF_IT)
def test_dig_is_told_that_a_name_is_there_but_has_nothing_of_the_type(server: Server, question: str) -> None:
    reply = ask(server, *question.split())
    assert (reply.status, reply.answers, reply.flags) == ("NOERROR", (), {"qr", "aa", "rd"})
    assert_soa(reply.authority)


def assert_soa(authority: tuple[str, ...]) -> None:
    (soa,) = authority
    owner, ttl, _, kind, primary, mailbox, serial, *times = soa.split()
    assert (owner, ttl, kind) == ("dtk.io.", str(DEFAULT_TTL), "SOA")
    assert (primary, mailbox, times) == ("localhost.", "nobody.invalid.", ["3600", "1200", "604800", "5"])
    assert int(serial) > 1_700_000_000


def test_dig_finds_the_soa_of_a_domain_and_of_no_other_name(server: Server) -> None:
    assert_soa(ask(server, "dtk.io", "SOA").answers)
    below = ask(server, "foo.dtk.io", "SOA")
    assert below.answers == ()
    assert_soa(below.authority)


@pytest.mark.parametrize("question", ["a.sub.dtk.io", "sub.dtk.io NS", "sub.dtk.io A", "ns.sub.dtk.io"])
def test_dig_is_referred_to_the_servers_of_a_part_that_others_have(server: Server, question: str) -> None:
    reply = ask(server, *question.split())
    assert (reply.status, reply.flags) == ("NOERROR", {"qr", "rd"})
    assert (reply.answers, reply.authority, reply.additional) == ((), SERVERS, GLUE)


@pytest.mark.parametrize(
    "question",
    ["www.example.com", "io NS", ". NS", "foo.dtk.io CH", "version.bind CH TXT", "dtk.io AXFR", "dtk.io IXFR=1"],
)
def test_dig_is_refused_what_is_not_ours(server: Server, question: str) -> None:
    assert ask(server, *question.split()).status == "REFUSED"


def test_dig_sees_its_own_spelling_again(server: Server) -> None:
    reply = ask(server, "FoO.dTK.Io")
    assert (reply.question, reply.answers) == ("FoO.dTK.Io. IN A", (f"FoO.dTK.Io. 60 IN A {V4}",))


@pytest.mark.parametrize(
    ("question", "fits"),
    [
        ("large.dtk.io +bufsize=4096", False),
        ("large.dtk.io +bufsize=1232", False),
        ("large.dtk.io +noedns", False),
        ("medium.dtk.io +bufsize=1232", True),
        ("medium.dtk.io +bufsize=512", False),
        ("medium.dtk.io +bufsize=0", False),
        ("medium.dtk.io +noedns", False),
    ],
)
def test_dig_is_told_to_come_by_tcp_for_what_does_not_fit(server: Server, question: str, fits: bool) -> None:
    everything = MEDIUM if question.startswith("medium") else LARGE
    truncated = ask(server, *question.split(), "TXT", "+ignore")
    assert truncated.protocol == "UDP"
    assert ("tc" in truncated.flags, truncated.answers) == ((False, everything) if fits else (True, ()))
    whole = ask(server, *question.split(), "TXT")
    assert (whole.protocol, whole.answers) == ("UDP" if fits else "TCP", everything)
    assert "tc" not in whole.flags


@pytest.mark.parametrize("option", ["+notcp", "+tcp"])
def test_dig_is_answered_over_ipv6(server: Server, option: str) -> None:
    (port,) = re.findall(r"\[::1\]:(\d+) ", "".join(server.service.log))
    assert dig("::1", int(port), "foo.dtk.io", option).answers == (f"foo.dtk.io. 60 IN A {V4}",)


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("+edns=1 +noednsnegotiation", "BADVERS"),
        ("+ednsopt=65001:00ff", "NOERROR"),
        ("+nsid +subnet=10.0.0.0/8 +expire +padding=128 +keepalive +tcp", "NOERROR"),
        ("+ednsflags=0x7fff", "NOERROR"),
        ("+header-only", "FORMERR"),
        ("+opcode=NOTIFY", "NOTIMP"),
        ("+opcode=UPDATE", "NOTIMP"),
        ("+zflag +adflag +cdflag +aaflag", "NOERROR"),
    ],
)
def test_dig_may_ask_strangely(server: Server, options: str, status: str) -> None:
    assert ask(server, "foo.dtk.io", *options.split()).status == status


def test_dig_gets_the_flags_back_that_belong_to_it_and_no_others(server: Server) -> None:
    reply = ask(server, "foo.dtk.io", "+norecurse", "+zflag", "+adflag", "+cdflag", "+dnssec")
    assert reply.flags == {"qr", "aa", "cd"}
    assert reply.edns == {"version": 0, "flags": "do", "udp": 1232}


NSLOOKUP = {
    "foo.dtk.io": (0, f"Name:\tfoo.dtk.io\nAddress: {V4}\nName:\tfoo.dtk.io\nAddress: {V6}\n"),
    "any.thing.apps.dtk.io": (
        0,
        f"Name:\tany.thing.apps.dtk.io\nAddress: {V4}\nName:\tany.thing.apps.dtk.io\nAddress: {V6}\n",
    ),
    "-type=TXT text.dtk.io": (
        0,
        'text.dtk.io\ttext = "v=spf1 -all"\n'
        'text.dtk.io\ttext = "two" "strings"\n'
        'text.dtk.io\ttext = "no quotes"\n',
    ),
    "-type=SRV _http._tcp.dtk.io": (0, "_http._tcp.dtk.io\tservice = 10 5 8080 foo.dtk.io.\n"),
    "-type=A foo.dtk.io": (0, f"Name:\tfoo.dtk.io\nAddress: {V4}\n"),
    "nope.dtk.io": (1, "** server can't find nope.dtk.io: NXDOMAIN\n"),
    "empty.dtk.io": (0, "*** Can't find empty.dtk.io: No answer\n"),
    "www.example.com": (1, "** server can't find www.example.com: REFUSED\n"),
    "a.sub.dtk.io": (0, "Non-authoritative answer:\n*** Can't find a.sub.dtk.io: No answer\n"),
    "www.shop.io": (
        1,
        "www.shop.io\tcanonical name = www.example.com.\n** server can't find www.example.com: REFUSED\n",
    ),
}
"""What nslookup is asked: its exit status, and what it says behind the name of the server."""


@pytest.mark.parametrize("question", NSLOOKUP)
def test_nslookup_tells_what_there_is_and_ends_with_1_where_there_is_no_such_name(
    server: Server, question: str
) -> None:
    port = server.service.dns_port
    done = run("nslookup", f"-port={port}", *question.split(), "127.0.0.1")
    assert (done.returncode, done.stdout) == (
        NSLOOKUP[question][0],
        f"Server:\t\t127.0.0.1\nAddress:\t127.0.0.1#{port}\n\n{NSLOOKUP[question][1]}\n",
    )


def test_nslookup_finds_the_name_of_an_address(server: Server) -> None:
    done = run("nslookup", f"-port={server.service.dns_port}", V4, "127.0.0.1")
    assert (done.returncode, done.stdout) == (0, "167.122.168.192.in-addr.arpa\tname = foo.dtk.io.\n\n")


def test_nslookup_shows_a_set_of_which_it_was_first_told_that_it_does_not_fit(server: Server) -> None:
    done = run("nslookup", f"-port={server.service.dns_port}", "-type=TXT", "large.dtk.io", "127.0.0.1")
    assert done.returncode == 0
    assert done.stdout.count("large.dtk.io\ttext = ") == len(LARGE)


HOST = {
    "foo.dtk.io": (0, f"foo.dtk.io has address {V4}\nfoo.dtk.io has IPv6 address {V6}\n"),
    "-t MX mail.dtk.io": (
        0,
        "mail.dtk.io mail is handled by 10 foo.dtk.io.\nmail.dtk.io mail is handled by 20 mx.example.com.\n",
    ),
    "-t CAA caa.dtk.io": (0, 'caa.dtk.io has CAA record 0 issue "letsencrypt.org"\n'),
    "-t NAPTR naptr.dtk.io": (0, 'naptr.dtk.io has NAPTR record 100 50 "s" "z3950+N2L+N2C" "" foo.dtk.io.\n'),
    "-t CNAME www.shop.io": (0, "www.shop.io is an alias for www.example.com.\n"),
    V4: (0, "167.122.168.192.in-addr.arpa domain name pointer foo.dtk.io.\n"),
    "-t TXT empty.dtk.io": (0, "empty.dtk.io has no TXT record\n"),
    "nope.dtk.io": (1, "Host nope.dtk.io not found: 3(NXDOMAIN)\n"),
    "www.example.com": (1, "Host www.example.com not found: 5(REFUSED)\n"),
}


@pytest.mark.parametrize("question", HOST)
def test_host_tells_what_there_is_and_ends_with_1_where_there_is_no_such_name(
    server: Server, question: str
) -> None:
    port = server.service.dns_port
    done = run("host", "-p", str(port), *question.split(), "127.0.0.1")
    head = f"Using domain server:\nName: 127.0.0.1\nAddress: 127.0.0.1#{port}\nAliases: \n\n"
    assert (done.returncode, done.stdout) == (HOST[question][0], head + HOST[question][1])


DELV = {
    "foo.dtk.io": f"; authoritative\nfoo.dtk.io.\t\t60\tIN\tA\t{V4}\n",
    "any.apps.dtk.io AAAA": f"; authoritative\nany.apps.dtk.io.\t61\tIN\tAAAA\t{V6}\n",
    "nope.dtk.io": "; negative response, answer not validated\n; nope.dtk.io.\t\t5\tIN\t\\-ANY\t;-$NXDOMAIN\n",
    "text.dtk.io": "; negative response, answer not validated\n; text.dtk.io.\t\t5\tIN\t\\-A\t;-$NXRRSET\n",
}


@pytest.mark.parametrize("question", DELV)
def test_delv_takes_the_answers_when_it_does_not_validate(server: Server, question: str) -> None:
    done = run("delv", "-i", "-p", str(server.service.dns_port), "@127.0.0.1", *question.split())
    assert done.returncode == 0
    assert done.stdout.startswith(DELV[question]), done


@pytest.mark.parametrize("tcp", [False, True])
def test_dnspython_resolves(server: Server, tcp: bool) -> None:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], server.service.dns_port

    def data(name: str, kind: str) -> list[str]:
        return sorted(one.to_text() for one in resolver.resolve(name, kind, tcp=tcp))

    assert data("foo.dtk.io", "A") == [V4]
    assert data("any.thing.apps.dtk.io", "AAAA") == [V6]
    assert data("text.dtk.io", "TXT") == ['"no quotes"', '"two" "strings"', '"v=spf1 -all"']
    assert len(data("large.dtk.io", "TXT")) == len(LARGE)
    assert data("_http._tcp.dtk.io", "SRV") == ["10 5 8080 foo.dtk.io."]
    found = resolver.resolve_name("foo.dtk.io", tcp=tcp)
    assert sorted(found.addresses()) == [V4, V6]
    with pytest.raises(dns.resolver.NXDOMAIN):
        data("nope.dtk.io", "A")
    with pytest.raises(dns.resolver.NoAnswer):
        data("text.dtk.io", "A")
    with pytest.raises(dns.resolver.NoNameservers):
        data("www.example.com", "A")


UNASSIGNED = dns.edns.OptionType.make(65001)
OPTIONS: dict[str, list[dns.edns.Option]] = {
    "cookie": [dns.edns.GenericOption(dns.edns.COOKIE, b"12345678")],
    "nsid": [dns.edns.GenericOption(dns.edns.NSID, b"")],
    "padding": [dns.edns.GenericOption(dns.edns.PADDING, bytes(300))],
    "keepalive": [dns.edns.GenericOption(dns.edns.KEEPALIVE, b"")],
    "subnet": [dns.edns.ECSOption("10.1.2.0", 24)],
    "twice": [dns.edns.GenericOption(UNASSIGNED, b"1"), dns.edns.GenericOption(UNASSIGNED, b"2")],
}


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("options", OPTIONS)
def test_dnspython_is_answered_whatever_options_it_sends_and_gets_none_back(
    server: Server, options: str, tcp: bool
) -> None:
    query = dns.message.make_query("foo.dtk.io", "A", use_edns=0, options=OPTIONS[options])
    by = dns.query.tcp if tcp else dns.query.udp
    reply = by(query, "127.0.0.1", port=server.service.dns_port, timeout=10)
    assert reply.rcode() == dns.rcode.NOERROR
    assert [one.to_text() for one in reply.answer] == [f"foo.dtk.io. 60 IN A {V4}"]
    assert (reply.edns, reply.payload, reply.options) == (0, 1232, ())


def test_dnspython_asks_many_things_over_one_connection(server: Server) -> None:
    """Also before the first is answered (RFC 7766, section 6.2.1.1)."""
    asked = [
        dns.message.make_query(name, kind)
        for name, kind in (
            ("foo.dtk.io", "A"),
            ("large.dtk.io", "TXT"),
            ("nope.dtk.io", "A"),
            ("foo.dtk.io", "AAAA"),
        )
    ]
    with socket.create_connection(("127.0.0.1", server.service.dns_port), timeout=10) as connection:
        for query in asked:
            dns.query.send_tcp(connection, query)
        replies = [dns.query.receive_tcp(connection)[0] for _ in asked]
    assert [reply.id for reply in replies] == [query.id for query in asked]
