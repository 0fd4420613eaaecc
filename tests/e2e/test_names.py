"""Names that really resolve, in a private mount namespace, where the hosts file is a scratch one."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from process import Namespace, bind_mounted_hosts, call, dtkdns, scratch_etc

HOSTS = b"127.0.0.1 localhost\n"


@pytest.mark.namespace
@pytest.mark.parametrize("mounted", [bind_mounted_hosts, scratch_etc])
def test_a_name_resolves_after_its_record_and_no_longer_after_its_deletion(
    tmp_path: Path, web_server: int, mounted: Callable[[Path, bytes], AbstractContextManager[Namespace]]
) -> None:
    capture = Path(__file__).with_name("captures") / "external-dns-v0.19.0-sync.jsonl"
    created = json.loads(capture.read_text().splitlines()[3])["body"]
    deleted = json.dumps({"delete": json.loads(created)["create"]})
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--state", str(tmp_path / "state")]
    url = f"http://foo.dtk.io:{web_server}/"
    with (
        mounted(tmp_path, HOSTS) as namespace,
        dtkdns(*options, prefix=namespace.prefix) as service,
        service.connection() as connection,
    ):
        assert call(connection, "POST", "/clusterip", b"127.0.0.1")[0] == 200
        assert not resolves(namespace)
        assert call(connection, "POST", "/records", created)[0] == 204
        assert namespace.run("getent", "hosts", "foo.dtk.io").stdout.split() == ["127.0.0.1", "foo.dtk.io"]
        answer = namespace.run("curl", "--silent", "--show-error", "--noproxy", "*", url)
        assert answer.stdout == f"hello from foo.dtk.io:{web_server}", answer.stderr
        assert namespace.run("getent", "hosts", "localhost").returncode == 0
        assert call(connection, "POST", "/records", deleted)[0] == 204
        assert not resolves(namespace)
        assert namespace.run("curl", "--silent", "--noproxy", "*", url).returncode == 6
        assert namespace.run("cat", "/etc/hosts").stdout.encode() == HOSTS
        service.stop()
    announced = [line for line in service.log if "is written in place" in line]
    assert len(announced) == (1 if mounted is bind_mounted_hosts else 0)


def resolves(namespace: Namespace) -> bool:
    return namespace.run("getent", "hosts", "foo.dtk.io").returncode == 0


@pytest.mark.namespace
def test_a_hosts_file_that_is_kept_no_longer_is_as_it_was_before(tmp_path: Path) -> None:
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--state", str(tmp_path / "state")]
    created = json.dumps({"create": [{"dnsName": "foo.dtk.io", "targets": ["127.0.0.1"], "recordType": "A"}]})
    with scratch_etc(tmp_path, HOSTS) as namespace:
        with dtkdns(*options, prefix=namespace.prefix) as service, service.connection() as connection:
            assert call(connection, "POST", "/records", created)[0] == 204
            assert resolves(namespace)
            service.stop()
        assert resolves(namespace), "what is shown stays while dtkdns does not run"
        with dtkdns(*options, "--hosts-file", "none", prefix=namespace.prefix) as service:
            assert not resolves(namespace)
            assert namespace.run("cat", "/etc/hosts").stdout.encode() == HOSTS
            service.stop()
    assert any("the block of dtkdns is taken out" in line for line in service.log)
