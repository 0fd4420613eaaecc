"""What a person reads: a line for each thing that happened, one line for very many, and never more than a line."""

from __future__ import annotations

import pytest

from dtkdns.endpoint import Endpoint, make_endpoint
from dtkdns.projection import DNS_FACE, EVERY_FACE, HOSTS_FACE, Hidden, Projection, Reason, Shown
from dtkdns.reports import (
    MANY,
    report_counts,
    report_difference,
    report_fights,
    report_left_out,
    report_settings,
)


def shown(
    name: str, *addresses: str, cluster: str = "default", resource: str = "", replaced: tuple[str, ...] = ()
) -> Shown:
    return Shown(name, addresses or ("10.0.0.1",), cluster, resource, 0, 1.0, replaced)


def showing(*names: Shown) -> Projection:
    return Projection(shown={one.name: one for one in names})


def hiding(*hidden: Hidden) -> Projection:
    found: dict[str, tuple[Hidden, ...]] = {}
    for one in hidden:
        found[one.key[0]] = (*found.get(one.key[0], ()), one)
    return Projection(hidden=found)


def endpoint(name: str, record_type: str = "A") -> Endpoint:
    return make_endpoint(name, record_type, "", ("10.0.0.1",), 0, {}, b"{}")


def numbered(count: int) -> list[str]:
    return [f"n{number}.dtk.io" for number in range(count)]


NOTHING = Projection()
HOSTS = frozenset({HOSTS_FACE})
DNS = frozenset({DNS_FACE})


def test_a_name_that_appears_is_said_with_its_addresses_and_where_it_comes_from(log_lines: list[str]) -> None:
    new = showing(
        shown("a.dtk.io", "192.168.122.167", "fd00::1", resource="ingress/default/test", replaced=("10.0.0.1",)),
        shown("b.dtk.io", cluster="lab", resource="ingress/x/y"),
        shown("c.dtk.io", cluster="lab"),
        shown("d.dtk.io"),
        shown("untouched.dtk.io"),
    )
    report_difference(NOTHING, new, ["d.dtk.io", "c.dtk.io", "b.dtk.io", "a.dtk.io"])
    assert log_lines == [
        "a.dtk.io is 192.168.122.167, fd00::1, instead of 10.0.0.1 (ingress/default/test).",
        "b.dtk.io is 10.0.0.1 (lab ingress/x/y).",
        "c.dtk.io is 10.0.0.1 (lab).",
        "d.dtk.io is 10.0.0.1.",
    ]


def test_a_name_that_moves_or_goes_is_said_and_one_that_stays_is_not(log_lines: list[str]) -> None:
    old = showing(shown("moves.dtk.io"), shown("goes.dtk.io", cluster="lab"), shown("stays.dtk.io"))
    new = showing(shown("moves.dtk.io", "10.0.0.2"), shown("stays.dtk.io", resource="ingress/a/b"))
    report_difference(old, new, ["moves.dtk.io", "goes.dtk.io", "stays.dtk.io", "never.dtk.io"])
    assert log_lines == ["moves.dtk.io is 10.0.0.2.", "goes.dtk.io is gone (lab)."]


def test_of_many_targets_that_an_address_stands_in_for_a_few_are_said(log_lines: list[str]) -> None:
    many = tuple(f"10.0.0.{number}" for number in range(5))
    report_difference(NOTHING, showing(shown("a.dtk.io", "10.9.9.9", replaced=many)), ["a.dtk.io"])
    assert log_lines == ["a.dtk.io is 10.9.9.9, instead of 10.0.0.0, 10.0.0.1, 10.0.0.2 and 2 more."]


def test_up_to_twenty_names_are_said_one_by_one_and_more_by_their_number(log_lines: list[str]) -> None:
    assert MANY == 20
    for count in (20, 21):
        names = numbered(count)
        first, second = (showing(*(shown(name, address) for name in names)) for address in ("::1", "::2"))
        report_difference(NOTHING, first, names)
        report_difference(first, second, names)
        report_difference(second, NOTHING, names)
    assert len(log_lines) == 20 * 3 + 3
    assert log_lines[60:] == [
        "21 names appeared.",
        "21 names moved to another address.",
        "21 names are gone.",
    ]


def test_why_a_record_is_not_shown_is_said_once(log_lines: list[str]) -> None:
    service = Hidden("default", ("a.dtk.io", "SRV", ""), Reason.TYPE, "SRV")
    outside = Hidden("lab", ("www.example.com", "A", ""), Reason.UNMANAGED, " (lab.io)")
    first = hiding(service, outside)
    owners = ["a.dtk.io", "www.example.com"]
    report_difference(NOTHING, first, owners, HOSTS)
    assert log_lines == [
        "a.dtk.io (SRV) is kept but not shown:"
        " a hosts file holds addresses only, and this is a record of type SRV.",
        "www.example.com (A) is kept but not shown in cluster lab: it lies in none of the managed domains.",
    ]
    log_lines.clear()
    mail = Hidden("default", ("a.dtk.io", "MX", ""), Reason.TYPE, "MX")
    report_difference(first, hiding(service, mail, outside), owners, HOSTS)
    assert [line.split(" is kept")[0] for line in log_lines] == ["a.dtk.io (MX)"]


@pytest.mark.parametrize(
    ("faces", "said"),
    [
        (
            HOSTS,
            [
                "a.dtk.io (MX) is kept but not shown: 'x' is not the data of a record of type MX.",
                "a.dtk.io (SRV) is kept but not shown:"
                " a hosts file holds addresses only, and this is a record of type SRV.",
            ],
        ),
        (DNS, ["a.dtk.io (MX) is kept but not shown: 'x' is not the data of a record of type MX."]),
        (
            EVERY_FACE,
            [
                "a.dtk.io (MX) is kept but not shown: 'x' is not the data of a record of type MX.",
                "a.dtk.io (SRV) is answered by DNS, but not in the hosts file:"
                " a hosts file holds addresses only, and this is a record of type SRV.",
            ],
        ),
    ],
    ids=["hosts file", "DNS", "both"],
)
def test_a_record_that_only_a_hosts_file_cannot_show_is_said_as_the_faces_that_there_are_have_it(
    faces: frozenset[str], said: list[str], log_lines: list[str]
) -> None:
    service = Hidden("default", ("a.dtk.io", "SRV", ""), Reason.TYPE, "SRV")
    mail = Hidden("default", ("a.dtk.io", "MX", ""), Reason.DATA, "'x' is not the data of a record of type MX")
    report_difference(NOTHING, hiding(service, mail), ["a.dtk.io"], faces)
    assert log_lines == said


def test_a_record_that_dns_alone_answers_is_said_with_its_cluster(log_lines: list[str]) -> None:
    alias = Hidden("lab", ("a.lab.io", "CNAME", ""), Reason.ALIAS, "www.example.com")
    report_difference(NOTHING, hiding(alias), ["a.lab.io"])
    assert log_lines == [
        "a.lab.io (CNAME) is answered by DNS, but not in the hosts file in cluster lab:"
        " a hosts file holds addresses only, and it points to the name www.example.com."
    ]


def test_very_many_hidden_records_are_said_by_their_number(log_lines: list[str]) -> None:
    hidden = [Hidden("default", (name, "SRV", ""), Reason.TYPE, "SRV") for name in numbered(21)]
    others = [Hidden("default", (f"x{name}", "SRV", ""), Reason.DATA, "no") for name in numbered(22)]
    owners = [one.key[0] for one in (*hidden, *others)]
    report_difference(NOTHING, hiding(*hidden, *others), owners, HOSTS)
    report_difference(NOTHING, hiding(*hidden, *others), owners)
    assert log_lines == [
        "43 records are kept but not shown.",
        "22 records are kept but not shown.",
        "21 records are answered by DNS, but not in the hosts file.",
    ]


@pytest.mark.parametrize(
    ("faces", "said"),
    [
        (HOSTS, ["*.dtk.io (A) is kept but not shown: a hosts file has no wildcards."]),
        (DNS, ["*.dtk.io is 10.0.0.1.", "*.dtk.io is gone."]),
        (
            EVERY_FACE,
            [
                "*.dtk.io is 10.0.0.1.",
                "*.dtk.io (A) is answered by DNS, but not in the hosts file: a hosts file has no wildcards.",
                "*.dtk.io is gone.",
            ],
        ),
    ],
    ids=["hosts file", "DNS", "both"],
)
def test_a_wildcard_is_a_name_like_another_where_there_is_dns(
    faces: frozenset[str], said: list[str], log_lines: list[str]
) -> None:
    wildcard = Hidden("default", ("*.dtk.io", "A", ""), Reason.WILDCARD)
    new = Projection(shown={"*.dtk.io": shown("*.dtk.io")}, hidden={"*.dtk.io": (wildcard,)})
    report_difference(NOTHING, new, ["*.dtk.io"], faces)
    report_difference(new, NOTHING, ["*.dtk.io"], faces)
    assert log_lines == said


def test_desired_records_outside_the_domains_are_said_once_and_very_many_by_their_number(
    log_lines: list[str],
) -> None:
    known = endpoint("old.example.com").key
    report_left_out("default", [known, endpoint("new.example.com").key], frozenset({known}))
    report_left_out("lab", [endpoint("Lab.example.com", "CNAME").key], frozenset())
    report_left_out("lab", [endpoint(name).key for name in numbered(21)], frozenset())
    assert log_lines == [
        "new.example.com (A) lies in none of the managed domains and is left out.",
        "lab.example.com (CNAME) lies in none of the managed domains in cluster lab and is left out.",
        "21 desired records lie outside the managed domains and are left out.",
    ]


def test_a_fight_is_said_with_its_remedy_and_one_name_stands_for_all(log_lines: list[str]) -> None:
    report_fights("default", [])
    report_fights("lab", iter([("a.dtk.io", "A", ""), ("b.dtk.io", "A", "")]))
    (line,) = log_lines
    assert line.startswith("a.dtk.io (A) keeps being created and deleted in cluster lab: ")
    assert "--webhook-provider-url=http://HOST:PORT/clusters/NAME" in line


def test_domains_and_addresses_that_are_set_are_said_and_only_what_changed(log_lines: list[str]) -> None:
    report_settings("default", ("dtk.io", "test"), ("10.0.0.1", "fd00::1"))
    report_settings("lab", None, ("10.0.0.2",))
    report_settings("lab", (), None)
    assert log_lines == [
        "Managed domains: dtk.io, test.",
        "test is a whole top-level name: every name under it is now decided by the cluster.",
        "Address of the cluster: 10.0.0.1, fd00::1.",
        "Address of the cluster in cluster lab: 10.0.0.2.",
        "Managed domains in cluster lab: none.",
    ]


def test_what_was_found_at_the_start_is_said_in_numbers(log_lines: list[str]) -> None:
    both = {name: shown(name) for name in ("a.dtk.io", "*.dtk.io")}
    report_counts(both, 3)
    report_counts(both, 3, {HOSTS_FACE})
    assert log_lines == ["3 records are stored, 2 names resolve.", "3 records are stored, 1 names resolve."]


ODD = ["", "a\nb", "a\tb", "a\rb", "\x1b[2J", "\0", "\u2028", "\u202e", "\u00fc{0}", "x" * 100_000]
ODD_IDS = ["empty", "LF", "tab", "CR", "escape", "NUL", "line separator", "bidi", "not ASCII", "long"]


@pytest.mark.parametrize("odd", ODD, ids=ODD_IDS)
def test_nothing_in_a_record_makes_more_than_a_printable_line_of_some_length(
    odd: str, log_lines: list[str]
) -> None:
    hidden = Hidden("default", (odd, odd, odd), Reason.NAME)
    new = Projection(shown={"a.dtk.io": shown("a.dtk.io", resource=odd, replaced=(odd,))}, hidden={odd: (hidden,)})
    report_difference(NOTHING, new, ["a.dtk.io", odd])
    report_difference(new, NOTHING, ["a.dtk.io"])
    report_left_out("default", [endpoint(odd, odd).key], frozenset())
    report_fights("default", [(odd, odd, odd)])
    assert len(log_lines) == 5
    for line in log_lines:
        assert line.isascii()
        assert line.isprintable()
        assert len(line) < 1500
