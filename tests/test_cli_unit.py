"""The units' texts: what is asked for stands in them so that systemd takes it as it is."""

from __future__ import annotations

import configparser
import shlex

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from dtkdns.cli.service.unit import Program, Unit, is_below, listen_of, options_of, quoted

PLAIN = Unit(
    program=Program("/opt/dtkdns/bin/twistd", ("/opt/dtkdns", "/usr")),
    options=("--domains=dtk.io",),
    listen="5000",
    files={},
    state=None,
    hosts_directory="/etc",
    low_port=False,
    network=False,
    given=("--domains=dtk.io",),
)


def lines(text: str) -> list[str]:
    return text.splitlines()


def value(text: str, key: str) -> str:
    (found,) = [line.partition("=")[2] for line in lines(text) if line.startswith(f"{key}=")]
    return found


def test_the_service_starts_twistd_with_its_options_and_the_socket_of_systemd() -> None:
    text = PLAIN.service()
    assert value(text, "ExecStart") == (
        "/opt/dtkdns/bin/twistd --nodaemon --pidfile= --logger=dtkdns.journal.observer dtkdns --port=systemd"
        " --domains=dtk.io"
    )
    assert {"Requires=dtkdns.socket", "After=network.target dtkdns.socket", "Also=dtkdns.socket"} < set(
        lines(text)
    )
    assert {"Type=notify", "WatchdogSec=30", "Restart=on-failure", "StateDirectory=dtkdns"} < set(lines(text))
    assert "ListenStream=5000" in lines(PLAIN.socket())


def test_it_may_write_in_etc_and_its_state_and_see_no_home() -> None:
    text = PLAIN.service()
    assert value(text, "CapabilityBoundingSet") == ""
    assert value(text, "ReadWritePaths") == "/etc"
    assert value(text, "ProtectHome") == "yes"
    assert value(text, "MemoryDenyWriteExecute") == "yes"
    assert "BindReadOnlyPaths" not in text
    assert "BindPaths" not in text


def test_without_a_socket_the_service_opens_its_port_itself() -> None:
    text = evolve(PLAIN, listen=None, options=("--port=ssl:443:privateKey=/k",), low_port=True).service()
    assert "dtkdns.socket" not in text
    assert value(text, "ExecStart").endswith(" dtkdns --port=ssl:443:privateKey=/k")
    assert value(text, "CapabilityBoundingSet") == "CAP_NET_BIND_SERVICE"
    assert value(text, "MemoryDenyWriteExecute") == "no"


def test_what_lies_in_a_home_is_bound_into_an_empty_one() -> None:
    program = Program("/home/me/dtkdns/.venv/bin/twistd", ("/home/me/dtkdns/.venv", "/usr"))
    text = evolve(PLAIN, program=program, hosts_directory="/home/me/names", state="/home/me/my state").service()
    assert value(text, "ProtectHome") == "tmpfs"
    assert value(text, "BindReadOnlyPaths") == "/home/me/dtkdns/.venv"
    assert value(text, "ReadWritePaths") == '/home/me/names "/home/me/my state"'
    assert value(text, "BindPaths") == '/home/me/names "/home/me/my state"'
    assert "StateDirectory" not in text


def test_what_lies_where_scratch_files_do_is_bound_too() -> None:
    text = evolve(PLAIN, program=Program("/tmp/x/bin/twistd", ("/tmp/x", "/usr"))).service()
    assert value(text, "ProtectHome") == "yes"
    assert value(text, "BindReadOnlyPaths") == "/tmp/x"


def test_files_are_handed_over_as_credentials() -> None:
    text = evolve(PLAIN, files={"config": "/home/me/100%.yaml"}).service()
    assert value(text, "LoadCredential") == "config:/home/me/100%%.yaml"
    assert value(text, "ExecStart").endswith(" --config=${CREDENTIALS_DIRECTORY}/config")


def test_addresses_of_the_network_are_waited_for_where_dns_needs_them() -> None:
    text = evolve(PLAIN, network=True).service()
    assert {"Wants=network-online.target", "After=network.target dtkdns.socket network-online.target"} < set(
        lines(text)
    )


def test_the_options_are_found_again() -> None:
    given_options = ("--domains=dtk.io", '--state=/a "b"\n[c]=\u00e4')
    assert options_of(evolve(PLAIN, given=given_options).service()) == given_options
    assert options_of("") is None
    assert options_of("[Service]\nExecStart=/usr/bin/twistd dtkdns\n") is None
    assert options_of("[X-dtkdns]\nOptions=[nonsense]\n") is None


@pytest.mark.parametrize(
    ("endpoint", "listen"),
    [
        ("5000", "5000"),
        ("tcp6:5000", "5000"),
        ("tcp:5000", "0.0.0.0:5000"),
        ("tcp:5000:interface=192.168.122.1", "192.168.122.1:5000"),
        (r"tcp6:5000:interface=fd00\:\:1", "[fd00::1]:5000"),
        ("tcp:5000:interface=eth0", None),
        ("ssl:5000:privateKey=/k", None),
        ("unix:/run/dtkdns", None),
        ("\u0665", None),
    ],
)
def test_systemd_listens_where_the_service_would(endpoint: str, listen: str | None) -> None:
    assert listen_of(endpoint) == listen


@pytest.mark.parametrize(
    ("path", "below"), [("/home", True), ("/home/me", True), ("/homes", False), ("/srv/home", False), ("/", False)]
)
def test_what_lies_in_a_directory_is_told_from_what_begins_alike(path: str, below: bool) -> None:
    assert is_below(path, ("/home",)) is below


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_a_word_is_one_word_whatever_it_holds(word: str) -> None:
    """systemd.syntax(7): double quotes, backslashes in them; `%%` is a percent sign."""
    assert shlex.split(quoted(word).replace("%%", "%")) == [word]


def test_a_dollar_is_one_in_the_command_line_only() -> None:
    text = evolve(PLAIN, options=("--state=/a$b",), state="/a$b").service()
    assert value(text, "ExecStart").endswith(" --state=/a$$b")
    assert value(text, "ReadWritePaths") == "/etc /a$b"


def test_a_colon_does_not_divide_a_path_and_no_file_needs_no_right() -> None:
    text = evolve(PLAIN, program=Program("/home/a:b/twistd", ("/home/a:b",)), hosts_directory=None).service()
    assert value(text, "BindReadOnlyPaths") == '"/home/a:b"'
    assert value(text, "ReadWritePaths") == ""


def test_the_texts_are_units() -> None:
    for text in (PLAIN.service(), PLAIN.socket()):
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(text)
        assert {"Unit", "Install"} < set(parser.sections())
