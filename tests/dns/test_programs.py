"""What programs see of the names that only look them up, in a network where dtkdns is the name server."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from front.browser import OPTIONS

from .network import NAMESERVER, Network, network
from .serving import ELSEWHERE, RECORDS, V4, V6, Server, need, serving

DTKDNS = "127.0.0.1:5053"
"""Where dtkdns is when another name server stands before it."""
ONE_OF_EACH = {"A": 1, "AAAA": 1}
HELLO = "<p>Hello from the cluster.</p>"


@frozen
class Desktop:
    """The network, dtkdns in it, and where the program in addresses.c is."""

    network: Network
    server: Server
    musl: str

    def asked(self, *command: str) -> tuple[int, str, dict[str, int]]:
        """Exit status and output of a program, and how many questions of each type it took."""
        before = self._counts()
        done = self.network.run(*command)
        return done.returncode, done.stdout, dict(self._counts() - before)

    def _counts(self) -> Counter[str]:
        text = self.server.call("GET", "/metrics")
        counts: Counter[str] = Counter()
        for kind, number in re.findall(r'^dtkdns_dns_answers_total\{.*record_type="(\w+)"\} (\S+)$', text, re.M):
            counts[kind] += int(float(number))
        return counts


@pytest.fixture(scope="module")
def desktop(tmp_path_factory: pytest.TempPathFactory, musl: str) -> Iterator[Desktop]:
    """All that there is to ask is dtkdns, with records of every kind."""
    need("curl", "getent", "ip")
    directory = tmp_path_factory.mktemp("programs")
    with (
        network(directory) as private,
        serving(
            directory,
            dns=f"{NAMESERVER}:53",
            domains="dtk.io,168.192.in-addr.arpa",
            prefix=private.prefix,
        ) as running,
    ):
        running.change(create=RECORDS)
        running.call("POST", "/clusters/shop/domains", "shop.io")
        running.change("/clusters/shop", create=ELSEWHERE)
        yield Desktop(private, running, musl)


@pytest.mark.parametrize(
    "name", ["foo.dtk.io", "FOO.dtk.io", "foo.dtk.io.", "x.apps.dtk.io", "any.thing.apps.dtk.io"]
)
def test_glibc_and_musl_find_both_addresses_of_a_name_by_one_question_for_each(
    desktop: Desktop, name: str
) -> None:
    status, said, asked = desktop.asked("getent", "ahosts", name)
    assert (status, set(re.findall(r"^\S+", said, re.MULTILINE)), asked) == (0, {V4, V6}, ONE_OF_EACH)
    status, said, asked = desktop.asked(desktop.musl, name)
    assert (status, set(said.split()), asked) == (0, {V4, V6}, ONE_OF_EACH)


def test_getent_hosts_prefers_ipv6_and_finds_the_name_of_an_address(desktop: Desktop) -> None:
    assert desktop.asked("getent", "hosts", "foo.dtk.io") == (0, f"{V6}       foo.dtk.io\n", {"AAAA": 1})
    assert desktop.asked("getent", "ahostsv4", "foo.dtk.io")[::2] == (0, {"A": 1})
    assert desktop.asked("getent", "hosts", V4) == (0, f"{V4} foo.dtk.io\n", {"PTR": 1})


PYTHON = """
import socket, sys
print(*sorted({found[4][0] for found in socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)}))
"""


def test_python_finds_what_glibc_finds(desktop: Desktop) -> None:
    for name, answer in {"foo.dtk.io": (0, f"{V4} {V6}\n"), "nope.dtk.io": (1, "")}.items():
        assert desktop.asked(sys.executable, "-c", PYTHON, name) == (*answer, ONE_OF_EACH)


@pytest.mark.parametrize(
    ("name", "on_glibc", "on_musl"),
    [
        ("nope.dtk.io", "Name or service not known", "Name does not resolve"),
        ("no.below.apps.dtk.io", "Name or service not known", "Name does not resolve"),
        ("empty.dtk.io", "No address associated with hostname", "Name does not resolve"),
        ("text.apps.dtk.io", "No address associated with hostname", "Name does not resolve"),
        ("a.sub.dtk.io", "No address associated with hostname", "Name does not resolve"),
        ("www.shop.io", "Name or service not known", "Name does not resolve"),
        ("www.example.com", "Temporary failure in name resolution", "Try again"),
    ],
)
def test_glibc_and_musl_tell_a_name_that_is_not_there_from_one_that_others_have(
    desktop: Desktop, name: str, on_glibc: str, on_musl: str
) -> None:
    """A CNAME that leads elsewhere, and names that others have, need a resolver in front of dtkdns."""
    done = desktop.network.run(sys.executable, "-c", PYTHON, name)
    assert done.stderr.splitlines()[-1].endswith(f"] {on_glibc}")
    assert desktop.asked(desktop.musl, name)[1] == f"{on_musl}\n"


@frozen
class Browsing:
    """A network with a web server, to which the names of the cluster lead."""

    network: Network
    server: Server
    directory: Path
    page: int

    def curl(self, name: str) -> subprocess.CompletedProcess[str]:
        return self.network.run("curl", "--silent", "--show-error", f"http://{name}:{self.page}")

    def chromium(self, name: str) -> str:
        """What it shows, or what it says about the name."""
        home = self.directory / name
        home.mkdir()
        command = ["env", "--ignore-environment", "PATH=/usr/bin:/bin", f"HOME={home}", "chromium", *OPTIONS]
        done = self.network.run(
            *command, f"--user-data-dir={home}/profile", "--dump-dom", f"http://{name}:{self.page}"
        )
        failed = re.search(r"net::ERR_\w+", done.stderr)
        return failed[0] if failed else done.stdout


@pytest.fixture(params=["directly", "dnsmasq"])
def browsing(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Browsing]:
    """With dtkdns as the name server, or behind a dnsmasq that has got one more line of configuration."""
    need("chromium", "curl", "dnsmasq", "ip")
    behind = request.param == "dnsmasq"
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "index.html").write_text(HELLO)
    with ExitStack() as stack:
        private = stack.enter_context(network(tmp_path))
        dns = DTKDNS if behind else f"{NAMESERVER}:53"
        running = stack.enter_context(serving(tmp_path, dns=dns, addresses="127.0.0.1", prefix=private.prefix))
        if behind:
            (tmp_path / "dnsmasq.conf").write_text("server=/dtk.io/127.0.0.1#5053\n")
            dnsmasq = [
                "dnsmasq",
                "--no-daemon",
                f"--conf-file={tmp_path}/dnsmasq.conf",
                "--no-resolv",
                "--no-hosts",
            ]
            dnsmasq += [f"--listen-address={NAMESERVER}", "--bind-interfaces", "--pid-file="]
            stack.enter_context(background([*private.prefix, *dnsmasq], "started"))
        web = [
            sys.executable,
            "-u",
            "-m",
            "http.server",
            "--bind=127.0.0.1",
            f"--directory={tmp_path}/www",
            "8080",
        ]
        stack.enter_context(background([*private.prefix, *web], "Serving HTTP"))
        yield Browsing(private, running, tmp_path, 8080)


@contextmanager
def background(command: Sequence[str], mark: str) -> Iterator[None]:
    """A program that runs, from when it has said this."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, bufsize=1)
    assert process.stdout is not None
    try:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if mark in line:
                break
        else:
            raise AssertionError("".join(lines))
        yield
    finally:
        process.kill()
        process.communicate()


def test_curl_and_chromium_open_a_page_under_a_wildcard_until_it_is_gone(browsing: Browsing) -> None:
    assert browsing.curl("before.apps.dtk.io").returncode == 6, "curl cannot resolve it"
    browsing.server.change(create=RECORDS)
    assert browsing.curl("one.apps.dtk.io").stdout == HELLO
    assert HELLO in browsing.chromium("two.apps.dtk.io")
    assert HELLO in browsing.chromium("any.thing.apps.dtk.io")
    assert browsing.chromium("nope.dtk.io") == "net::ERR_NAME_NOT_RESOLVED"
    assert browsing.chromium("text.apps.dtk.io") == "net::ERR_NAME_NOT_RESOLVED"
    browsing.server.change(delete=[one for one in RECORDS if one["dnsName"] == "*.apps.dtk.io"])
    assert browsing.chromium("three.apps.dtk.io") == "net::ERR_NAME_NOT_RESOLVED"
    assert browsing.curl("four.apps.dtk.io").returncode == 6


def test_beside_another_name_server_glibc_finds_the_names_of_both_but_nslookup_asks_the_other_alone(
    tmp_path: Path,
) -> None:
    """Why a resolver belongs in front of dtkdns, and not a second line `nameserver` beside it."""
    need("dnsmasq", "getent", "ip", "nslookup")
    other = ["dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file="]
    other += ["--listen-address=127.0.0.54", "--bind-interfaces", "--local=/io/"]
    other += ["--address=/example.com/192.0.2.99", "--address=/example.com/2001:db8::99"]
    with (
        network(tmp_path) as private,
        serving(tmp_path, dns=f"{NAMESERVER}:53", prefix=private.prefix) as running,
        background([*private.prefix, *other], "started"),
    ):
        running.change(create=RECORDS)
        private.do("sh", "-c", f"printf 'nameserver %s\\n' {NAMESERVER} 127.0.0.54 > /etc/resolv.conf")
        assert private.do("getent", "ahostsv4", "foo.dtk.io").split()[0] == V4
        assert private.do("getent", "ahostsv4", "www.example.com").split()[0] == "192.0.2.99"
        done = private.run("nslookup", "foo.dtk.io")
        assert f"Got recursion not available from {NAMESERVER}, trying next server" in done.stdout
        assert "** server can't find foo.dtk.io: NXDOMAIN" in done.stdout
