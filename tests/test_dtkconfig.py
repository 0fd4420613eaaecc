"""The `dns` section of DTK's own configuration: what it gives, and what is wrong with it, by line and key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtkdns.dtkconfig import DTKConfig, read_config
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
            "dns: {host-ip: 'dtk:s3:cr@et@192.168.0.12'}",
            DTKConfig(host="192.168.0.12", credentials=("dtk", "s3:cr@et")),
        ),
        ("dns: {unknown: [1, 2], domain: &a dtk.io}\nelse: *a", DTKConfig(("dtk.io",))),
        ("dns: {domain: a.io, domain: b.io}", DTKConfig(("b.io",))),
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
        ("domain: [a.io]", "line 8: dns.domain: it is not a single value."),
        ("enabled: no-way", "line 8: dns.enabled: 'no-way' is neither true nor false."),
        (
            "enabled: false",
            "line 8: dns.enabled: it is false: set it to true, or start dtkdns without --config.",
        ),
        ("webhook-port: 0", "line 8: dns.webhook-port: '0' does not begin with a port"),
        ("webhook-port: 65536", "does not begin with a port: give one like 5000, or 5000/clusters/lab."),
        ("webhook-port: '\u0665\u0660'", "does not begin with a port"),
        ("webhook-port: 5000/clusters/LAB", "has a path that is no base of dtkdns"),
        ("webhook-port: 5000/lab", "has a path that is no base of dtkdns: give one like 5000/clusters/lab."),
        ("host-ip: 'secret@192.168.0.12'", "line 8: dns.host-ip: it is not user:secret@ADDRESS."),
        ("host-ip: 'dtk:secret@'", "line 8: dns.host-ip: it is not user:secret@ADDRESS."),
        ("host-ip: ':secret@192.168.0.12'", "line 8: dns.host-ip: it is not user:secret@ADDRESS."),
    ],
)
def test_a_wrong_value_is_named_by_file_line_and_key_and_no_secret_is_told(
    section: str, said: str, path: Path
) -> None:
    text = REAL[: REAL.index("  domain:")] + f"  {section}\n"
    found = fault(path, text)
    assert said in found
    assert found.startswith("--config: FILE, line 8: dns.")
    assert found.endswith(".")
    assert "secret" not in found.replace("user:secret", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "--config: FILE has no section dns: is it DTK's config.yaml?"),
        ("- dns\n", "--config: FILE has no section dns: is it DTK's config.yaml?"),
        ("[dns]: {}", "--config: FILE has no section dns: is it DTK's config.yaml?"),
        ("virt: kvm\ndns: 5\n", "--config: FILE, line 2: dns is no section of keys and values."),
        ("dns:\n  a: [\n", "--config: FILE is not YAML: "),
        (b"dns: \xff", "--config: FILE is not YAML: "),
        ("dns: " + "[" * 5000, "--config: FILE is not YAML: "),
        ("dns: {domain: !!python/object/apply:os.getcwd []}", "dns.domain: it is not a single value."),
    ],
)
def test_what_has_no_such_section_is_one_sentence(text: str | bytes, said: str, path: Path) -> None:
    assert said in fault(path, text)


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
            st.text(alphabet="a.:@/5,-{}[]'\"&*!| \t", max_size=12),
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
