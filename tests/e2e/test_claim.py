"""Two services and one hosts file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from process import TWISTD, call, dtkdns

HOSTS = b"127.0.0.1 localhost\n"
FOO = json.dumps({"create": [{"dnsName": "foo.dtk.io", "targets": ["10.0.0.1"], "recordType": "A"}]})


def test_a_second_one_with_its_own_state_is_refused_and_takes_over_when_the_first_is_dead(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_bytes(HOSTS)
    options = ["--port", "tcp:0:interface=127.0.0.1", "--domains", "dtk.io", "--hosts-file", str(hosts)]
    first = [*options, "--state", str(tmp_path / "first")]
    second = [*options, "--state", str(tmp_path / "second")]
    with dtkdns(*first) as service, service.connection() as connection:
        assert call(connection, "POST", "/records", FOO)[0] == 204
        refused = subprocess.run(
            [*TWISTD, "-n", "--pidfile=", "dtkdns", *second],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert refused.returncode == 1
        assert f"Another dtkdns (process {service.process.pid}) keeps {hosts}: stop it first" in refused.stderr
        assert b" foo.dtk.io " in hosts.read_bytes()
        service.kill()
    with dtkdns(*second) as service, service.connection() as connection:
        assert call(connection, "POST", "/records", FOO.replace("foo", "bar"))[0] == 204
        text = hosts.read_bytes()
        assert b" bar.dtk.io " in text
        assert b" foo.dtk.io " not in text
        service.stop()
    (warned,) = [line for line in service.log if "taken over" in line]
    assert "was that of another dtkdns" in warned
