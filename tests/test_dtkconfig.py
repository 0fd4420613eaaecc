"""The `dns` section of DTK's own configuration: what it gives, and what is wrong with it, by line and key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtkdns.dtkconfig import MOST_BYTES, DTKConfig, read_config
from dtkdns.settings import SettingError

REAL = """\
virt: kvm
addons:
  - name: external-dns
    enabled: false
vm:
  linux: alma9
dns:
  domain: dtk.io
  host-ip:
  webhook-port: 5000
vms:
  - name: vm1
    cpu: 3
"""

NO_PAIR = "line 8: dns.host-ip: what stands before the @ is not user:secret."
NO_HOST = "line 8: dns.host-ip: it does not end in an address or a host name: give one like 192.168.0.12, "
NO_CHARACTER = "line 8: dns.host-ip: user or secret has a character that no URL can have there: write an @ as %40"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def read(path: Path, text: str | bytes) -> DTKConfig:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_config(str(path))


def fault(path: Path, text: str | bytes) -> str:
    with pytest.raises(SettingError) as raised:
        read(path, text)
    return str(raised.value).replace(str(path), "FILE")


def test_dtks_own_file_gives_domain_and_port(path: Path) -> None:
    assert read(path, REAL) == DTKConfig(("dtk.io",), "5000")


@pytest.mark.parametrize(
    ("section", "config"),
    [
        ("dns:", DTKConfig()),
        ("dns: {}", DTKConfig()),
        ("dns: {enabled: true, domain: 'a.io,B.io'}", DTKConfig(("a.io", "b.io"))),
        ("dns: {enabled: True, webhook-port: '5001'}", DTKConfig(port="5001")),
        ("dns: {webhook-port: 5000/clusters/lab}", DTKConfig(port="5000", cluster="lab")),
        ("dns: {webhook-port: 5000/clusters/lab/}", DTKConfig(port="5000", cluster="lab")),
        ("dns: {webhook-port: 5000/}", DTKConfig(port="5000")),
        ("dns: {host-ip: 192.168.0.12}", DTKConfig(host="192.168.0.12")),
        (
            "dns: {host-ip: 'dtk:s3:cr%40e%C3%A9t@192.168.0.12'}",
            DTKConfig(host="192.168.0.12", credentials=("dtk", "s3:cr@e\u00e9t")),
        ),
        ("dns: {host-ip: 'dtk:s3cret@[fd00::12]'}", DTKConfig(host="[fd00::12]", credentials=("dtk", "s3cret"))),
        ("dns: {host-ip: desk.lan}", DTKConfig(host="desk.lan")),
        ("dns: {domain: '', host-ip: '', webhook-port: ' '}", DTKConfig()),
        ("dns: {domain: ~, host-ip: null, enabled: }", DTKConfig()),
        ("dns: {webhook-port: '05000'}", DTKConfig(port="5000")),
        ("dns: {webhook-port: !!int 5000}", DTKConfig(port="5000")),
        ("dns: {unknown: [1, 2], unknown: 3, [a]: b, domain: &a dtk.io}\nelse: *a", DTKConfig(("dtk.io",))),
        ("a: &a {domain: dtk.io}\na: 1\ndns: *a", DTKConfig(("dtk.io",))),
        ("dns: {domain: &a dtk.io, else: *a}\nother: !!python/name:os.getcwd x", DTKConfig(("dtk.io",))),
        ("\ufeffdns: {domain: dtk.io}", DTKConfig(("dtk.io",))),
    ],
)
def test_a_section_gives_what_it_says_and_nothing_where_it_says_nothing(
    section: str, config: DTKConfig, path: Path
) -> None:
    assert read(path, section) == config


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("domain: a..io", "line 8: dns.domain: 'a..io' is not a domain"),
        (
            "domain: [a.io, b.io]",
            "line 8: dns.domain: it is not a single value: give one like dtk.io or a.io,b.io.",
        ),
        ("domain: !!python/name:os.getcwd a.io", "line 8: dns.domain: it is not a single value: "),
        ("domain: !own a.io", "line 8: dns.domain: it is not a single value: "),
        ("domain: dtk:secret@192.168.0.12", "line 8: dns.domain: user and secret stand in host-ip; give one like"),
        (
            "domain: " + ",".join(f"n{number}.io" for number in range(101)),
            "line 8: dns.domain: a cluster has 100 domains at most, and these are 101.",
        ),
        ("domain:\n    a..io", "line 8: dns.domain: 'a..io' is not a domain"),
        ("enabled: no-way", "line 8: dns.enabled: 'no-way' is neither true nor false."),
        (
            "enabled: false",
            "line 8: dns.enabled: it is false: set it to true, or start dtkdns without --config.",
        ),
        ("webhook-port: 0", "line 8: dns.webhook-port: '0' does not begin with a port"),
        ("webhook-port: 65536", "does not begin with a port: give one like 5000, or 5000/clusters/lab."),
        ("webhook-port: '\u0665\u0660'", "does not begin with a port"),
        ("webhook-port: 5000/clusters/LAB", "has a path that is no base of dtkdns"),
        ("webhook-port: 5_000", "line 8: dns.webhook-port: '5_000' does not begin with a port"),
        ("webhook-port: -1", "line 8: dns.webhook-port: '-1' does not begin with a port"),
        ("webhook-port: 5000.0", "line 8: dns.webhook-port: '5000.0' does not begin with a port"),
        ("webhook-port: {a: b}", "line 8: dns.webhook-port: it is not a single value: give one like 5000."),
        (
            "webhook-port: secret@5000",
            "line 8: dns.webhook-port: user and secret stand in host-ip; give one like 5000",
        ),
        ("webhook-port: " + "x" * 200, "'" + "x" * 77 + "...' does not begin with a port"),
        ("webhook-port: 5000/lab", "has a path that is no base of dtkdns: give one like 5000/clusters/lab."),
        ("host-ip: 'secret@192.168.0.12'", NO_PAIR),
        ("host-ip: 'secret:@192.168.0.12'", NO_PAIR),
        ("host-ip: ':secret@192.168.0.12'", NO_PAIR),
        ("host-ip: '@192.168.0.12'", NO_PAIR),
        ("host-ip: 'dtk%3Asecret@192.168.0.12'", NO_PAIR),
        ("host-ip: 'dtk:secret@'", NO_HOST),
        ("host-ip: 'dtk:secret'", NO_HOST),
        ("host-ip: 'dtk:secret@192.168.0.12:5000'", NO_HOST),
        ("host-ip: 'dtk:secret@fd00::12'", NO_HOST),
        ("host-ip: 'dtk:secret@[192.168.0.12]'", NO_HOST),
        ("host-ip: 'dtk:secret@[fe80::1%eth0]'", NO_HOST),
        ("host-ip: 'http://dtk:secret@192.168.0.12/'", NO_HOST),
        ('host-ip: "192.168.0.12\\nsecret"', NO_HOST),
        (
            "host-ip: [fd00::12]",
            "line 8: dns.host-ip: it is not a single value: give one like 192.168.0.12 or '[fd00::12]'.",
        ),
        ("host-ip: 'dtk:sec@ret@192.168.0.12'", NO_CHARACTER),
        ("host-ip: 'dtk:sec/ret@192.168.0.12'", NO_CHARACTER),
        ("host-ip: 'dtk:sec%ret@192.168.0.12'", NO_CHARACTER),
        ("host-ip: 'dtk:sécret@192.168.0.12'", NO_CHARACTER),
        ("host-ip: 'dtk:secret%FF@192.168.0.12'", "line 8: dns.host-ip: user or secret is not UTF-8."),
        (
            "host-ip: 'dtk:pbkdf2:sha256:1$secret$ab@192.168.0.12'",
            "line 8: dns.host-ip: a hash is of no use in a URL: write the secret itself.",
        ),
        (
            "host-ip: 'dtk:secret@10.0.0.1'\n  host-ip: 10.0.0.2",
            "line 9: dns.host-ip: it was there before: leave one.",
        ),
        ("enabled: true\n  enabled: true", "line 9: dns.enabled: it was there before: leave one."),
        (
            "<<: {host-ip: 'dtk:secret@10.0.0.1'}",
            "line 8: dns.<<: what it stands for is not read: write the values",
        ),
    ],
)
def test_a_wrong_value_is_named_by_file_line_and_key_and_no_secret_is_told(
    section: str, said: str, path: Path
) -> None:
    text = REAL[: REAL.index("  domain:")] + f"  {section}\n"
    found = fault(path, text)
    assert said in found
    assert re.match(r"--config: FILE, line [89]: dns\.", found)
    assert found.endswith(".")
    assert "secret" not in found.replace("user:secret", "").replace("user and secret", "").replace(
        "user or secret", ""
    ).replace("write the secret itself", "")
    assert "ret@" not in found.replace("secret@192.168.0.12", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "--config: FILE has no section dns: is it DTK's config.yaml?"),
        ("- dns\n", "--config: FILE has no section dns: is it DTK's config.yaml?"),
        ("[dns]: {}", "--config: FILE has no section dns: is it DTK's config.yaml?"),
        ("virt: kvm\ndns: 5\n", "--config: FILE, line 2: dns is no section of keys and values."),
        ("\n# nothing\n", "--config: FILE has no section dns: is it DTK's config.yaml?"),
        ("dns: {domain: a.io}\nvirt: kvm\ndns:\n", "--config: FILE, line 3: dns was there before: leave one."),
        ("dns: &a [*a]", "--config: FILE, line 1: dns is no section of keys and values."),
        ("dns:\n  a: [\n", "--config: FILE, line 3, is not YAML: "),
        (
            "dns:\n\tdomain: dtk.io\n",
            "--config: FILE, line 2, is not YAML: found character '\\t' that cannot start any token.",
        ),
        ("dns:\n  host-ip: *secret\n", "--config: FILE, line 2, is not YAML: found undefined alias."),
        (
            "dns:\n  host-ip: !secret!@10.0.0.1\n",
            "--config: FILE, line 2, is not YAML: found undefined tag handle.",
        ),
        ("dns:\n---\ndns:\n", "--config: FILE, line 2, is not YAML: found another document."),
        (b"dns: \xff", "--config: FILE is not YAML: it has characters that no text has."),
        ("dns: \0", "--config: FILE is not YAML: it has characters that no text has."),
        (r'dns: {domain: "\UFFFFFFFF"}', "--config: FILE is not YAML: it has characters that no text has."),
        ("%YAML 1." + "9" * 5000 + "\n---\ndns:", "--config: FILE is not YAML: "),
        ("dns: " + "[" * 5000, "--config: FILE is nested too deeply: is it DTK's config.yaml?"),
        ("dns: {domain: !!python/object/apply:os.getcwd []}", "dns.domain: it is not a single value: "),
        ("#" * 10_000_000, f"--config: FILE is larger than {MOST_BYTES} bytes: is it DTK's config.yaml?"),
    ],
)
def test_what_has_no_such_section_is_one_sentence(text: str | bytes, said: str, path: Path) -> None:
    found = fault(path, text)
    assert said in found
    assert "secret" not in found


def test_a_value_that_stands_elsewhere_is_named_by_the_line_of_its_key(path: Path) -> None:
    assert fault(path, "name: &a 'no domain'\nvirt: kvm\ndns:\n  domain: *a\n").startswith(
        "--config: FILE, line 4: dns.domain: 'no domain' is not a domain"
    )


def test_what_refers_to_itself_many_times_over_is_read_at_once(path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    assert read(path, "\n".join([*lines, "dns: {domain: dtk.io, else: *a59}"])) == DTKConfig(("dtk.io",))


def test_a_file_that_cannot_be_read_is_one_sentence(path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read: No such file or directory"):
        read_config(str(path))


def test_the_secret_stands_in_no_representation(path: Path) -> None:
    assert "hidden" not in repr(read(path, "dns: {host-ip: 'dtk:hidden@10.0.0.1'}"))


@given(
    st.one_of(
        st.binary(max_size=60),
        st.builds(lambda text: f"dns:\n  {text}".encode(), st.text(max_size=40)),
        st.builds(
            lambda key, value: f"dns:\n  {key}: {value}\n".encode(),
            st.sampled_from(["domain", "host-ip", "webhook-port", "enabled"]),
            st.text(alphabet="a.:@/%5,-{}[]'\"&*!|<\\Ux \t", max_size=12),
        ),
    )
)
def test_whatever_stands_in_the_file_is_a_configuration_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    said = "--config: it is one"
    try:
        assert isinstance(read_config(str(path)), DTKConfig)
    except SettingError as error:
        said = str(error)
    assert said.startswith("--config: ")
    assert said.isprintable()
