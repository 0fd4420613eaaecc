"""`python -m dtkdns.smoke` against the real service: what it says, and that it leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from certificates import certificate_for
from desktop import CLUSTER_ADDRESS, HOSTS, Desktop, desktop
from process import Namespace, bind_mounted_hosts

pytestmark = pytest.mark.namespace

SMOKE = [sys.executable, "-m", "dtkdns.smoke"]


def smoke(at: Desktop, *options: str, url: str = "") -> subprocess.CompletedProcess[str]:
    return at.namespace.run(*SMOKE, url or at.url, *options)


def crosses(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 1, done
    return [line for line in done.stdout.splitlines() if line.startswith("✗")]


def test_every_check_holds_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        done = smoke(at)
        assert done.returncode == 0, done
        lines = done.stdout.splitlines()
        assert all(line.startswith("✓") for line in lines), done.stdout
        assert any(f"its name resolves: {CLUSTER_ADDRESS}" in line for line in lines)
        assert at.records() == []
        assert at.hosts() == HOSTS
        at.service.stop()


def test_a_base_a_domain_and_a_machine_that_reads(tmp_path: Path) -> None:
    with desktop(tmp_path, mounted=bind_mounted_hosts) as at:
        at.learn("/clusters/lab", domain="a.io,b.io")
        done = smoke(at, "--cluster", "lab", "--domain", "b.io", "--json")
        assert done.returncode == 0, done
        summary: dict[str, Any] = json.loads(done.stdout)
        assert (summary["url"], summary["ok"], summary["interrupted"]) == (f"{at.url}/clusters/lab", True, False)
        (created,) = [one for one in summary["checks"] if one["check"] == "POST /records creates it"]
        assert created["ok"] is True
        assert created["detail"].endswith(".b.io")
        assert at.records("/clusters/lab") == []
        at.service.stop()


def test_without_a_cluster_address_the_records_own_target_is_looked_for(tmp_path: Path) -> None:
    with desktop(tmp_path, "--domains", "dtk.io") as at:
        done = smoke(at)
        assert done.returncode == 0, done
        assert "its name resolves: 192.0.2.1" in done.stdout
        at.service.stop()


def test_over_tls(tmp_path: Path) -> None:
    key, certificate = certificate_for("127.0.0.1", tmp_path)
    port = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    with desktop(tmp_path, "--domains", "dtk.io", port=port) as at:
        url = at.url.replace("http:", "https:")
        done = at.namespace.run("env", f"SSL_CERT_FILE={certificate}", *SMOKE, url)
        assert done.returncode == 0, done
        (cross,) = crosses(smoke(at, url=url))
        assert "certificate" in cross
        at.service.stop()


def test_each_fault_is_named_with_what_to_try(tmp_path: Path) -> None:
    with desktop(tmp_path) as at, socket.create_server(("127.0.0.1", 0)) as silent:
        (cross,) = crosses(smoke(at))
        assert "No domain is managed" in cross
        assert f"curl -X POST {at.url}/domains -d dtk.io" in cross
        at.learn()
        (cross,) = crosses(smoke(at, "--domain", "example.com"))
        assert "example.com is not among the managed domains: dtk.io" in cross
        (cross,) = crosses(smoke(at, "--hosts-file", "/dev/null", "--timeout", "0.2"))
        assert "Run this on the machine that dtkdns runs on" in cross
        quiet = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (cross,) = crosses(smoke(at, "--timeout", "0.2", url=quiet))
        assert "nothing within 0.2 s" in cross
        (cross,) = crosses(smoke(at, url="http://does-not-exist.invalid:5000"))
        assert "host-ip" in cross
        assert at.records() == []
        assert at.hosts() == HOSTS
        closed = at.url
        at.service.stop()
        (cross,) = crosses(smoke(at, url=closed))
        assert "Connection refused" in cross
        assert "Is dtkdns running" in cross


@pytest.mark.parametrize(
    ("sources", "advice"),
    [("dns", "Put 'files' in front"), ("", "Put 'files' in front"), (None, "Add 'hosts: files dns'")],
)
def test_a_name_that_does_not_resolve_is_traced_to_nsswitch(
    tmp_path: Path, sources: str | None, advice: str
) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        text = "passwd: files\n" if sources is None else f"passwd: files\nhosts: {sources}\n"
        nsswitch = tmp_path / "etc" / "nsswitch.conf"
        nsswitch.write_text(text)
        done = smoke(at, "--timeout", "0.2")
        if sources is None:
            # Without a line glibc looks into the files all the same.
            assert done.returncode == 0, done
        else:
            (cross,) = crosses(done)
            assert "does not resolve" in cross
            assert advice in cross
        assert at.records() == []
        at.service.stop()


def test_a_file_that_cannot_be_written_is_told_in_dtkdns_own_words(tmp_path: Path) -> None:
    with desktop(tmp_path, mounted=bind_mounted_hosts) as at:
        at.learn()
        remount(at.namespace, "ro")
        done = smoke(at)
        assert "Status 503 instead of 204: This is stored, but not yet in the hosts file" in crosses(done)[0]
        remount(at.namespace, "rw")
        next(line for line in at.service.lines() if "The hosts file can be written again" in line)
        assert at.records() == []
        assert at.hosts() == HOSTS
        at.service.stop()


def remount(namespace: Namespace, mode: str) -> None:
    done = namespace.run("mount", "-o", f"remount,bind,{mode}", "/etc/hosts")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_it_removes_its_record(tmp_path: Path, number: signal.Signals, times: int) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        with waiting(at) as process:
            for _ in range(times):
                os.killpg(process.pid, number)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 130
        assert err == ""
        summary = json.loads(out)
        assert (summary["ok"], summary["interrupted"]) == (False, True)
        assert at.records() == []
        assert at.hosts() == HOSTS
        at.service.stop()


@contextmanager
def waiting(at: Desktop, *more: str) -> Iterator[subprocess.Popen[str]]:
    """The script while it looks for its name in a file where it never comes, in a process group of its own."""
    command = [*at.namespace.prefix, *SMOKE, at.url, "--hosts-file", "/dev/null", "--json", *more]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, text=True, start_new_session=True, **pipes) as process:
        assert next(line for line in at.service.lines() if "POST /records 204" in line)
        yield process


def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        with waiting(at, "--timeout", "2") as process:
            (record,) = at.records()
            at.service.kill()
            out, _ = process.communicate(timeout=60)
        assert process.returncode == 1
        (removal,) = [one for one in json.loads(out)["checks"] if one["check"] == "POST /records removes it"]
        assert removal["ok"] is False
        assert f"It is left behind: curl -X DELETE {at.url}/names/{record['dnsName']}" in removal["advice"]


def test_a_server_that_comes_back_in_time_gets_the_removal(tmp_path: Path) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        with waiting(at, "--timeout", "20") as process:
            assert len(at.records()) == 1
            at.service.kill()
            process.send_signal(signal.SIGTERM)
            with at.restarted() as again:
                out, _ = process.communicate(timeout=60)
                assert process.returncode == 130, out
                assert again.records() == []
                again.service.stop()


@pytest.mark.parametrize("redirection", ["| head -1", ">&-", ">/dev/full", "--json >/dev/full"])
def test_when_nobody_listens_it_cleans_up_without_a_traceback(tmp_path: Path, redirection: str) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        done = at.namespace.run("sh", "-c", f"{' '.join(SMOKE)} {at.url} {redirection}")
        assert done.stderr == ""
        assert done.returncode == (0 if "head" in redirection else 1)
        assert at.records() == []
        at.service.stop()


def test_by_an_ipv6_address_and_in_ascii(tmp_path: Path) -> None:
    with desktop(tmp_path, "--domains", "dtk.io", port="tcp6:0:interface=\\:\\:1") as at:
        url = f"http://[::1]:{at.service.port}"
        ascii_only = ["env", "PYTHONIOENCODING=ascii", "PYTHONUTF8=0", "LC_ALL=C"]
        done = at.namespace.run(*ascii_only, *SMOKE, url)
        assert done.returncode == 0, done
        assert all(line.startswith("+ ") for line in done.stdout.splitlines()), done.stdout
        at.service.stop()


def test_a_record_that_external_dns_removes_meanwhile_is_no_failure(tmp_path: Path) -> None:
    with desktop(tmp_path) as at:
        at.learn()
        with waiting(at) as process:
            # What registry noop under policy sync does with every record that it does not want.
            at.call("POST", "/records", json.dumps({"delete": at.records()}))
            out, _ = process.communicate(timeout=30)
        assert process.returncode == 0, out
        checks = json.loads(out)["checks"]
        assert [one["check"] for one in checks if one["detail"] == "removed by external-dns (registry noop)"]
        assert at.records() == []
        at.service.stop()
