"""DNS names as text, from what people and programs send."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dtkdns import names

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
"""Every code point, lone surrogates among them."""

NAME_LIKE = st.lists(
    st.one_of(
        st.sampled_from(
            ["*", "", "a", "A", "xn--", "b\u00fccher", "\u3002", "\u00ad", "-", "_", "0x1", "\uff11", "\u2488"]
        ),
        ANY_TEXT,
    ),
    max_size=6,
).map(".".join)

TEXTS = st.one_of(ANY_TEXT, NAME_LIKE)

LONGEST_LABEL = "a" * 63
LONGEST_NAME = ".".join([LONGEST_LABEL] * 3 + ["b" * 61])


def outcome(text: str) -> tuple[str | None, str]:
    """The domain in a text, or else the sentence that refuses it."""
    try:
        return names.parse_domain(text), ""
    except names.DomainError as error:
        return None, str(error)


@pytest.mark.parametrize(
    ("name", "normalised"),
    [
        ("Foo.DTK.io.", "foo.dtk.io"),
        ("foo.dtk.io", "foo.dtk.io"),
        (".", ""),
        ("", ""),
        ("*.DTK.io", "*.dtk.io"),
        ("B\u00dcCHER.io.", "b\u00fccher.io"),
    ],
)
def test_names_that_differ_in_case_or_a_trailing_dot_are_one(name: str, normalised: str) -> None:
    assert names.normalise(name) == normalised


@pytest.mark.parametrize(
    ("name", "ascii_form"),
    [
        ("Foo.DTK.io.", "foo.dtk.io"),
        ("b\u00fccher.dtk.io", "xn--bcher-kva.dtk.io"),
        ("B\u00dcCHER.dtk.io.", "xn--bcher-kva.dtk.io"),
        ("xn--bcher-kva.dtk.io", "xn--bcher-kva.dtk.io"),
        ("*.b\u00fccher.io", "*.xn--bcher-kva.io"),
        ("_sip.b\u00fccher.io", "_sip.xn--bcher-kva.io"),
        ("fa\u00df.de", "xn--fa-hia.de"),
        ("b\u00fccher\u3002dtk\u3002io\u3002", "xn--bcher-kva.dtk.io"),
        ("\uff44\uff54\uff4b.io", "dtk.io"),
    ],
)
def test_international_labels_become_punycode_and_ascii_ones_stay(name: str, ascii_form: str) -> None:
    assert names.to_ascii(name) == ascii_form
    assert names.to_ascii(ascii_form) == ascii_form


@pytest.mark.parametrize(
    "name",
    [
        "\u2488a.io",
        "\ud800.io",
        "-\u00fc.io",
        "\u00fc" * 64 + ".io",
        "\u200d\u00fc.io",
        "ab--\u00fc.io",
        "\u00fc\x00.io",
    ],
)
def test_a_name_without_an_ascii_form_comes_back_normalised_and_is_no_host_name(name: str) -> None:
    assert names.to_ascii(name + ".") == name
    assert not names.is_hostname(name)


@pytest.mark.parametrize(
    "name",
    ["dtk.io", "a", "a-b.c--d.io", "1.2.3.4a", "xn--bcher-kva.io", "0x1g", "0a.x1", LONGEST_LABEL, LONGEST_NAME],
)
def test_letters_digits_and_hyphens_make_a_host_name(name: str) -> None:
    assert names.is_hostname(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a..b",
        ".a",
        "a.",
        "-a.io",
        "a-.io",
        "a_b.io",
        "*.dtk.io",
        "A.io",
        "a b.io",
        "a.io\n",
        "a\n.io",
        "a.io\x00",
        "a#.io",
        "a\u2028.io",
        "\u0660.io",
        "b\u00fccher.io",
        "\u212a.io",
        "a" * 64,
        LONGEST_NAME + "b",
        "10.0.0.1",
        "a.1",
        "a.0x",
        "a.0x7f",
        "7",
        "0x",
    ],
)
def test_whatever_a_resolver_could_take_for_something_else_is_no_host_name(name: str) -> None:
    assert not names.is_hostname(name)


@pytest.mark.parametrize(
    "name",
    [
        "dtk.io",
        "_acme-challenge.dtk.io",
        "_443._tcp.dtk.io",
        "_",
        "a_b.io",
        "a_.io",
        "*.dtk.io",
        "*._tcp.dtk.io",
        "10.0.0.1",
        "_" * 63,
        LONGEST_NAME,
        "*." + LONGEST_NAME[2:],
    ],
)
def test_a_name_with_underscores_or_a_wildcard_can_own_records(name: str) -> None:
    assert names.is_owner(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "*",
        "*.",
        "*.*.io",
        "a.*.io",
        "*a.io",
        "_*.io",
        "a..b",
        ".a",
        "a.",
        "-a.io",
        "a-.io",
        "_-.io",
        "A.io",
        "_A.io",
        "a b.io",
        "a.io\n",
        "a\\.io",
        "a\x00.io",
        "\u0660.io",
        "b\u00fccher.io",
        "_" * 64,
        "b" + LONGEST_NAME,
        "*." + LONGEST_NAME,
    ],
)
def test_nothing_else_can_own_records(name: str) -> None:
    assert not names.is_owner(name)


@given(TEXTS)
@settings(max_examples=300)
def test_no_text_makes_the_functions_raise_and_a_host_name_is_safe_in_a_line(text: str) -> None:
    assert names.normalise(text) == text.lower().removesuffix(".")
    name = names.to_ascii(text)
    if names.is_hostname(name):
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-.")
        assert len(name) <= names.MAX_NAME
        assert all(1 <= len(label) <= 63 for label in name.split("."))
        assert names.to_ascii(name) == name
        assert names.is_owner(name)
    names.is_hostname(text)
    names.is_owner(text)
    names.is_wildcard(text)
    names.inside(text, ["dtk.io"])


def test_a_wildcard_has_the_asterisk_as_its_whole_first_label() -> None:
    assert names.is_wildcard("*.dtk.io")
    assert not any(names.is_wildcard(name) for name in ("*", "a*.dtk.io", "*a.dtk.io", "a.*.io", "", "a-*.dtk.io"))


@pytest.mark.parametrize(
    ("name", "is_inside"),
    [
        ("dtk.io", True),
        ("foo.dtk.io", True),
        ("a.b.dtk.io", True),
        ("*.dtk.io", True),
        ("lan", True),
        ("x.lan", True),
        ("evildtk.io", False),
        ("xlan", False),
        ("a-dtk.io", False),
        ("io", False),
        ("", False),
        ("dtk.io.evil.com", False),
        ("dtk.io.", False),
    ],
)
def test_a_name_is_inside_a_domain_only_at_a_dot(name: str, is_inside: bool) -> None:
    assert names.inside(name, ["other.io", "dtk.io", "lan"]) is is_inside


def test_without_domains_nothing_is_inside() -> None:
    assert not names.inside("dtk.io", [])


@given(name=st.text("ab.", max_size=12), domain=st.text("ab.", min_size=1, max_size=6))
def test_inside_is_equal_or_ends_in_a_dot_and_the_domain(name: str, domain: str) -> None:
    assert names.inside(name, [domain]) is (name == domain or name.endswith("." + domain))


@given(st.lists(st.text(".ab", max_size=4), max_size=4), st.lists(st.text(".ab", max_size=2), max_size=3))
def test_each_of_many_names_is_inside_when_it_is_alone(many: list[str], domains: list[str]) -> None:
    assert names.each_inside(many, domains) == [names.inside(name, domains) for name in many]


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("dtk.io", "dtk.io"),
        ("  DTK.io.\r\n", "dtk.io"),
        ("test", "test"),
        ("b\u00fccher.io", "xn--bcher-kva.io"),
        ("b\u00fccher.\uff49\uff4f", "xn--bcher-kva.io"),
        ("localhost.io", "localhost.io"),
        ("notlocalhost", "notlocalhost"),
        (LONGEST_NAME + ".", LONGEST_NAME),
    ],
)
def test_a_domain_comes_back_in_its_ascii_form(text: str, domain: str) -> None:
    assert names.parse_domain(text) == domain


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "is empty"),
        (" \t\r\n", "is empty"),
        (".", "is empty"),
        ("\u00ad", "is empty"),
        ("*.dtk.io", "is a wildcard: give"),
        ("\uff0a.dtk.io", "is a wildcard: give"),
        ("192.168.122.167", "is an address"),
        ("192.168.122.167.", "is an address"),
        ("\uff11.2.3.4", "is an address"),
        ("::1", "is an address"),
        ("[fe80::1%eth0]", "is an address"),
        (LONGEST_NAME + "b", "has 254 bytes"),
        (LONGEST_LABEL + "a.io", "label of more than 63 bytes"),
        ("a." + "b" * 64, "label of more than 63 bytes"),
        ("dtk io", "is not a domain"),
        ("dtk.io,lan", "is not a domain"),
        ("dtk..io", "is not a domain"),
        ("dtk.io..", "is not a domain"),
        (".dtk.io", "is not a domain"),
        ("*", "is not a domain"),
        ("a.*.io", "is not a domain"),
        ("dtk_a.io", "is not a domain"),
        ("http://dtk.io", "is not a domain"),
        ("dtk.io:80", "is not a domain"),
        ("10.0.0.0/8", "is not a domain"),
        ("127.1", "is not a domain"),
        ("dtk\nio", "'dtk\\nio' is not a domain"),
        ("dtk.io\x00", "'dtk.io\\x00' is not a domain"),
        ("\u2488.io", "'\\u2488.io' is not a domain"),
        ("\ud800.io", "'\\ud800.io' is not a domain"),
        ("localhost", "always means this machine"),
        ("LocalHost.", "always means this machine"),
        ("foo.localhost", "always means this machine"),
    ],
)
def test_what_cannot_be_a_domain_is_refused_with_its_fault(text: str, fault: str) -> None:
    with pytest.raises(names.DomainError) as caught:
        names.parse_domain(text)
    assert fault in str(caught.value)


@given(TEXTS)
@example("*.dtk\nX-Injected: 1")
@example("*.\x1b[2Jdtk.io")
@example("*." + "a" * 4000)
@example("a b" * 1000)
@settings(max_examples=300)
def test_a_domain_is_a_host_name_or_refused_in_one_short_printable_sentence(text: str) -> None:
    domain, message = outcome(text)
    if domain is None:
        assert message.isascii()
        assert message.isprintable()
        assert message.endswith(".")
        assert len(message) < 1500
    else:
        assert names.is_hostname(domain)
        assert names.parse_domain(domain) == domain
