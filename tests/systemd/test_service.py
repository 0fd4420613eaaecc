"""dtkdns as a service of a real systemd: how it starts, fails, comes back, and what it may do."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from box import rebooted, until
from dtkdns.cli.service.unit import SERVICE

from . import probe
from .machine import CLUSTER, HOSTS, OPTIONS, SUITES, Machine, foo, machine

EXPOSURE = 2.0
PROBE = "/var/lib/dtkdns/probe.py"
SECRETS = """
mkdir -p root home/somebody
echo secret > root/secret
echo secret > home/somebody/secret
echo root:secret:1:::::: > etc/shadow
"""


@pytest.fixture(params=SUITES)
def desktop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path, request.param, SECRETS) as made:
        yield made


def test_it_is_ready_when_it_was_installed_and_shows_what_external_dns_sends(desktop: Machine) -> None:
    said = desktop.install()
    assert "    webhook-port: 5000\n" in said
    assert desktop.show("ActiveState", "SubState", "UnitFileState", "NRestarts") == [
        *("active", "running", "enabled", "0"),
    ]
    assert desktop.show("StatusText") == ["All is as it should be: 0 names."]
    desktop.change(create=[foo()])
    assert desktop.box.run("getent hosts foo.dtk.io").stdout.split() == [CLUSTER, "foo.dtk.io"]
    assert "in place" not in desktop.log()
    assert "dtkdns" in desktop.box.run("dtkdns --version", check=True).stdout
    status = desktop.typed("status")
    assert (status.returncode, status.stderr) == (0, "")


def test_systemd_finds_nothing_to_object_to(desktop: Machine) -> None:
    desktop.install()
    verified = desktop.box.run(f"systemd-analyze verify --man=no {SERVICE} 2>&1")
    assert (verified.returncode, verified.stdout) == (0, "")
    said = desktop.box.run("systemd-analyze security dtkdns.service --no-pager", check=True).stdout
    exposure = re.search(r"Overall exposure level for dtkdns.service: ([\d.]+)", said)
    assert exposure is not None
    assert float(exposure[1]) <= EXPOSURE
    # The log of the start has no complaint of systemd's about the units either.
    assert "Unknown" not in desktop.box.run("journalctl --no-pager --output=cat").stdout


def test_a_dtkdns_that_was_taken_over_can_do_little(desktop: Machine) -> None:
    desktop.install()
    text = desktop.box.run(f"cat {SERVICE}", check=True).stdout
    text = re.sub("^Type=.*$", "Type=oneshot", text, flags=re.MULTILINE)
    text = re.sub(
        "^ExecStart=.*$", f"ExecStart={sys.executable} /var/lib/dtkdns/probe.py", text, flags=re.MULTILINE
    )
    text = re.sub("^(Watchdog|Restart|StartLimit|Requires).*$", "", text, flags=re.MULTILINE)
    desktop.box.write("/etc/systemd/system/probe.service", text)
    desktop.box.write(PROBE, Path(probe.__file__).read_text())
    desktop.box.run("systemctl daemon-reload && systemctl start probe", check=True)
    said = desktop.box.run("journalctl --no-pager --output=cat --unit=probe").stdout.splitlines()
    assert [line for line in said if line.startswith("works: ")] == [f"works: {what}" for what in probe.NEEDED]
    assert [line for line in said if line.startswith("fails: ")] == [f"fails: {what}" for what in probe.ATTEMPTS]


def test_the_same_attempts_work_without_the_sandbox(desktop: Machine) -> None:
    """So that a probe that fails for another reason proves nothing."""
    desktop.box.write(PROBE, Path(probe.__file__).read_text())
    desktop.box.run("mkdir -p /boot")
    said = desktop.box.run(f"{sys.executable} {PROBE}", check=True).stdout.splitlines()
    without_reason = {"disk"}  # there is none in this box
    assert {line.removeprefix("fails: ") for line in said if line.startswith("fails: ")} <= without_reason


def test_a_killed_service_comes_back_and_a_call_meanwhile_waits(desktop: Machine) -> None:
    desktop.install()
    desktop.change(create=[foo()])
    (process,) = desktop.show("MainPID")
    desktop.box.run(f"kill -KILL {process}", check=True)
    assert until(lambda: desktop.show("MainPID") != [process])
    records = desktop.box.run("curl --fail --silent --show-error http://127.0.0.1:5000/records", check=True)
    assert '"foo.dtk.io"' in records.stdout
    assert desktop.show("NRestarts") == ["1"]


def test_a_service_that_hangs_is_ended_and_started_again(desktop: Machine) -> None:
    desktop.box.write(f"{SERVICE}.d/test.conf", "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\n")
    desktop.install()
    (process,) = desktop.show("MainPID")
    desktop.box.run(f"kill -STOP {process}", check=True)
    assert until(lambda: desktop.show("ActiveState") == ["active"] and desktop.show("MainPID") != [process])
    assert desktop.show("NRestarts") == ["1"]


def test_after_a_reboot_it_serves_again(desktop: Machine) -> None:
    desktop.install()
    desktop.change(create=[foo()])
    with rebooted(desktop.box):
        records = desktop.box.run("curl --fail --silent --show-error http://127.0.0.1:5000/records", check=True)
        assert '"foo.dtk.io"' in records.stdout
        assert desktop.box.run("getent hosts foo.dtk.io").stdout.split() == [CLUSTER, "foo.dtk.io"]


def test_lines_of_the_log_have_the_priority_that_they_deserve(desktop: Machine) -> None:
    desktop.install("--domains dtk.io")
    desktop.change(create=[{"dnsName": "*.bad_name.dtk.io", "targets": ["10.0.0.1"], "recordType": "A"}])
    desktop.box.write("/etc/hosts", f"{HOSTS}\n10.1.1.1 bar.dtk.io\n")
    desktop.change(create=[foo(name="bar.dtk.io")])
    warnings = desktop.box.run("journalctl --no-pager --output=cat --unit=dtkdns --priority=warning").stdout
    assert "bar.dtk.io: a line of your own in /etc/hosts says 10.1.1.1, and it wins." in warnings
    assert "Managed domains" not in warnings
    assert "Managed domains: dtk.io." in desktop.log()


def test_options_that_cannot_work_are_an_error_in_the_log_and_in_what_install_says(desktop: Machine) -> None:
    desktop.box.run("mkdir -p /etc/systemd/system && ip address show dev lo", check=True)
    done = desktop.typed("install --yes --domains dtk.io --dns 192.0.2.99:5053")
    assert done.returncode == 1
    assert "192.0.2.99:5053 for DNS is no address of this machine" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout + desktop.log()
    errors = desktop.box.run("journalctl --no-pager --output=cat --unit=dtkdns --priority=err").stdout
    assert "192.0.2.99:5053 for DNS is no address of this machine" in errors
    assert desktop.install().count("webhook-port") == 1


def test_a_file_of_somebody_that_nobody_else_may_read_is_handed_over(desktop: Machine) -> None:
    config = "dns:\n  domain: dtk.io\n  host-ip: dtk:geheim@192.0.2.10\n  webhook-port: 5000/clusters/lab\n"
    desktop.box.write("/home/somebody/config.yaml", config)
    desktop.box.run("chown -R 1000:1000 /home/somebody && chmod -R go= /home/somebody", check=True)
    said = desktop.install("--config /home/somebody/config.yaml")
    assert "    webhook-port: 5000/clusters/lab\n" in said
    assert "geheim" not in said
    asked = (
        "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:5000/clusters/lab/domains"
    )
    assert desktop.box.run(asked).stdout == "401"
    assert desktop.box.run(f"{asked} -u dtk:geheim").stdout == "200"


def test_dns_can_be_answered_at_the_usual_port(desktop: Machine) -> None:
    desktop.install(f"{OPTIONS} --dns 192.0.2.10:53")
    desktop.change(create=[foo(name="*.apps.dtk.io")])
    assert desktop.box.run("dig +short @192.0.2.10 x.apps.dtk.io").stdout == f"{CLUSTER}\n"
