"""What `dtkdns install` and `dtkdns uninstall` do to a machine, and leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import installed
from certificates import certificate_for
from dtkdns.cli.service.unit import SERVICE, SOCKET

from .machine import HOSTS, OPTIONS, Machine, foo, machine, until

FILES = "find /etc /usr/local /var/lib/dtkdns -not -type d -not -name .updated 2>/dev/null | sort"


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as made:
        yield made


def test_it_shows_what_it_will_do_and_does_nothing_unless_told(desktop: Machine) -> None:
    before = desktop.box.run(FILES).stdout
    declined = desktop.typed(f"install {OPTIONS}", answer="n")
    assert declined.returncode == 1
    for line in (f"- write {SERVICE}:", f"- write {SOCKET}:", "- run systemctl restart dtkdns.service"):
        assert line in declined.stdout
    assert declined.stdout.endswith("Do it? [y/N]: Nothing was done.\n")
    told = json.loads(desktop.typed(f"install {OPTIONS} --json").stdout)
    assert told["done"] is False
    assert f"write {SERVICE}" in told["steps"]
    printed = desktop.typed(f"install {OPTIONS} --print")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert f"# {SOCKET}\n" in printed.stdout
    assert desktop.box.run(FILES).stdout == before
    assert desktop.typed(f"install {OPTIONS}", answer="y").returncode == 0
    assert desktop.is_ready()


def test_a_second_run_changes_what_differs(desktop: Machine) -> None:
    desktop.install()
    (process,) = desktop.show("MainPID")
    assert desktop.install().startswith("Nothing to do: dtkdns is installed and runs.\n")
    assert desktop.install("").startswith("Nothing to do: dtkdns is installed and runs.\n")
    assert desktop.show("MainPID") == [process]
    said = desktop.install(f"{OPTIONS} --debug")
    assert "+ExecStart=" in said
    assert SOCKET not in said
    assert desktop.show("MainPID") != [process]
    assert "--debug" in desktop.box.run(f"cat {SERVICE}").stdout
    desktop.box.run("systemctl disable --now dtkdns.service", check=True)
    assert "- run systemctl enable dtkdns.socket dtkdns.service" in desktop.install("")
    assert desktop.is_ready()


def test_another_port_takes_the_place_of_the_old_one(desktop: Machine) -> None:
    desktop.install()
    desktop.install(f"{OPTIONS} --port 5001")
    reached = "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1"
    assert desktop.box.run(f"{reached}:5001/healthz").stdout == "200"
    assert desktop.box.run(f"{reached}:5000/healthz").stdout == "000"
    assert desktop.typed("status").returncode == 0
    desktop.install(f"{OPTIONS} --port tcp:5002:interface=192.0.2.10")
    assert desktop.box.run("curl --silent http://192.0.2.10:5002/healthz").stdout
    assert desktop.box.run(f"{reached}:5002/healthz").stdout == "000"


def test_an_endpoint_that_systemd_cannot_hold_is_opened_by_the_service(desktop: Machine, tmp_path: Path) -> None:
    desktop.install()
    for made, name in zip(certificate_for("127.0.0.1", tmp_path), ("key.pem", "cert.pem"), strict=True):
        desktop.box.write(f"/root/{name}", made.read_text())
    endpoint = "ssl:5443:privateKey=/root/key.pem:certKey=/root/cert.pem"
    said = desktop.install(f"{OPTIONS} --port {endpoint}")
    assert f"- remove {SOCKET}" in said
    assert desktop.box.run("curl --insecure --silent https://127.0.0.1:5443/healthz").stdout
    assert desktop.box.run("systemctl is-active dtkdns.socket").stdout == "inactive\n"


def test_what_runs_already_is_said_and_not_disturbed(desktop: Machine) -> None:
    run = f"systemd-run --unit=mine {installed.TWISTD} -n --pidfile= dtkdns {OPTIONS}"
    desktop.box.run(run, check=True)
    assert until(lambda: desktop.box.run("curl --fail --silent http://127.0.0.1:5000/healthz").returncode == 0)
    refused = desktop.typed(f"install --yes {OPTIONS}")
    assert refused.returncode == 1
    assert refused.stderr.startswith("dtkdns: Port 5000 is taken: stop what listens there")
    refused = desktop.typed(f"install --yes {OPTIONS} --port 5001 --dns off")
    assert refused.stderr.startswith("dtkdns: Another dtkdns uses /var/lib/dtkdns: stop it first")
    assert desktop.box.run(f"ls {SERVICE}").returncode != 0


def test_a_port_that_is_taken_leaves_the_service_as_it_was(desktop: Machine) -> None:
    desktop.install()
    desktop.change(create=[foo()])
    desktop.box.run("systemd-run --unit=other systemd-socket-activate --listen=5001 cat", check=True)
    assert until(lambda: desktop.box.run("ss -Hltn 'sport = 5001'").stdout)
    refused = desktop.typed(f"install --yes {OPTIONS} --port 5001")
    assert refused.returncode == 1
    assert refused.stderr.startswith("dtkdns: Port 5001 is taken: stop what listens there")
    assert desktop.is_ready()


def test_a_service_that_does_not_start_as_it_is_told_is_put_back(desktop: Machine) -> None:
    desktop.install()
    desktop.change(create=[foo()])
    before = desktop.box.run(f"cat {SERVICE} {SOCKET}").stdout
    refused = desktop.typed(f"install --yes {OPTIONS} --port 5001 --dns 192.0.2.99:5053")
    assert refused.returncode == 1
    assert "192.0.2.99:5053 for DNS is no address of this machine" in refused.stderr
    assert "It was taken back: the service runs as before." in refused.stderr
    assert desktop.box.run(f"cat {SERVICE} {SOCKET}").stdout == before
    assert "foo.dtk.io" in desktop.box.run("curl --fail --silent http://127.0.0.1:5000/records").stdout
    assert "foo.dtk.io" in desktop.hosts()


def test_uninstalling_goes_on_where_it_failed(desktop: Machine) -> None:
    mount = "mkdir -p /srv/names && mount -t tmpfs names /srv/names && echo 127.0.0.1 localhost > /srv/names/hosts"
    desktop.box.run(mount, check=True)
    desktop.install(f"{OPTIONS} --hosts-file /srv/names/hosts --state /srv/state/dtkdns")
    desktop.change(create=[foo()])
    desktop.box.run("mkdir -p /var/lib/dtkdns && touch /var/lib/dtkdns/records.sqlite", check=True)
    desktop.box.run("mount -o remount,ro /srv/names", check=True)
    failed = desktop.typed("uninstall --yes --purge")
    assert failed.returncode == 1
    assert "/srv/names/hosts cannot be written" in failed.stderr
    desktop.box.run("mount -o remount,rw /srv/names", check=True)
    assert desktop.typed("uninstall --yes --purge").returncode == 0
    assert desktop.box.run("cat /srv/names/hosts").stdout == "127.0.0.1 localhost\n"
    assert desktop.box.run("ls /srv/state").stdout == ""
    assert desktop.box.run("ls /var/lib/dtkdns").stdout == "records.sqlite\n"
    assert desktop.box.run(f"ls {SERVICE}").returncode != 0


def test_the_records_of_a_dtkdns_that_runs_are_not_purged(desktop: Machine) -> None:
    desktop.box.run(f"systemd-run --unit=mine {installed.TWISTD} -n --pidfile= dtkdns {OPTIONS}", check=True)
    assert until(lambda: desktop.box.run("curl --fail --silent http://127.0.0.1:5000/healthz").returncode == 0)
    refused = desktop.typed("uninstall --yes --purge")
    assert refused.returncode == 1
    assert "Another dtkdns" in refused.stderr
    assert desktop.box.run("ls /var/lib/dtkdns/records.sqlite").returncode == 0


def test_what_is_said_fits_a_terminal(desktop: Machine) -> None:
    for said in (desktop.install(), desktop.typed("uninstall --yes").stdout):
        prose = [line for line in said.splitlines() if not line.startswith((" " * 6, "- link ", "Mind that "))]
        assert max(map(len, prose)) <= 80, prose


def test_uninstalled_it_leaves_the_machine_as_it_was(desktop: Machine) -> None:
    before = desktop.box.run(FILES).stdout
    desktop.install()
    desktop.change(create=[foo()])
    assert "foo.dtk.io" in desktop.hosts()
    declined = desktop.typed("uninstall", answer="n")
    assert (declined.returncode, desktop.is_ready()) == (1, True)
    done = desktop.typed("uninstall --yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert desktop.hosts() == HOSTS
    assert "Its records are still in /var/lib/dtkdns (uninstall --purge removes them)." in done.stdout
    assert desktop.box.run("ls /var/lib/dtkdns/records.sqlite").returncode == 0
    desktop.install()
    assert "foo.dtk.io" in desktop.hosts()
    assert desktop.typed("uninstall --yes --purge").returncode == 0
    assert desktop.hosts() == HOSTS
    assert desktop.box.run(FILES).stdout == before
    again = desktop.typed("uninstall --yes --purge")
    assert (again.returncode, again.stdout) == (0, "Nothing to do: dtkdns is not installed as a service.\n")


def test_a_block_in_another_file_and_state_is_taken_out_too(desktop: Machine) -> None:
    desktop.box.write("/srv/names/hosts", "127.0.0.1 localhost\n")
    desktop.install(f"{OPTIONS} --hosts-file /srv/names/hosts --state /srv/names/state")
    desktop.change(create=[foo()])
    assert "foo.dtk.io" in desktop.box.run("cat /srv/names/hosts").stdout
    assert desktop.typed("uninstall --yes --purge").returncode == 0
    assert desktop.box.run("cat /srv/names/hosts").stdout == "127.0.0.1 localhost\n"
    assert desktop.box.run("ls /srv/names").stdout == "hosts\n"


def test_nobody_but_root_can_do_either(desktop: Machine) -> None:
    desktop.box.run("chmod a+rx /root", check=True)
    for words in (f"install --yes {OPTIONS}", "uninstall --yes"):
        done = desktop.box.run(f"setpriv --reuid=65534 {installed.COMMAND} {words}")
        assert done.returncode == 1
        assert done.stderr.startswith("dtkdns: This changes the system. Run it as root: sudo ")
        assert done.stderr.rstrip().endswith(words)
