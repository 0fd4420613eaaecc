"""Files that even root may not write: only root can make one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from process import call, dtkdns

HOSTS = b"127.0.0.1 localhost\n"


@pytest.fixture
def immutable(tmp_path: Path) -> Iterator[Path]:
    """A hosts file that the kernel lets nobody change (chattr(1), +i)."""
    hosts = tmp_path / "hosts"
    hosts.write_bytes(HOSTS)
    subprocess.run(["chattr", "+i", str(hosts)], check=True)
    try:
        yield hosts
    finally:
        subprocess.run(["chattr", "-i", str(hosts)], check=True)


def test_an_immutable_hosts_file_is_a_503_with_the_remedy_and_is_written_once_it_can_be(immutable: Path) -> None:
    state = immutable.with_name("state")
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--hosts-file", str(immutable)]
    created = {"create": [{"dnsName": "foo.dtk.io", "targets": ["10.0.0.1"], "recordType": "A"}]}
    with dtkdns(*options, "--state", str(state)) as service, service.connection() as connection:
        status, body = call(connection, "POST", "/records", json.dumps(created))
        assert status == 503
        assert b"chattr -i" in body
        assert immutable.read_bytes() == HOSTS
        subprocess.run(["chattr", "-i", str(immutable)], check=True)
        assert call(connection, "POST", "/records", json.dumps(created))[0] == 204
        assert b"10.0.0.1 foo.dtk.io" in immutable.read_bytes()
        service.stop()
