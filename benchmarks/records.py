"""How long the webhook's calls take with many names, beside a plain decode and a plain write of the same bytes.

    python benchmarks/records.py [NAMES]

starts `twistd dtkdns` on scratch files and prints one line a measure. Ratios are what counts: they are
against something measured in the same run.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable

MEDIA_TYPE = "application/external.dns.webhook+json;version=1"


class Service:
    """A dtkdns of its own, and one connection to it."""

    def __init__(self, directory: str) -> None:
        self.hosts = os.path.join(directory, "hosts")
        self._command = [
            sys.executable, "-c", "from twisted.scripts.twistd import run; run()",
            "-n", "--pidfile=", "dtkdns", "--port", "tcp:0:interface=127.0.0.1",
            "--domains", "dtk.io", "--dns", "127.0.0.1:0", "--hosts-file", self.hosts,
            "--state", os.path.join(directory, "state"),
        ]  # fmt: skip
        self.start()

    def start(self) -> float:
        """Start it; returns the seconds until it answers."""
        begin = time.perf_counter()
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answers = re.search(r"DNS for the managed domains at 127.0.0.1:(\d+)", line)
            if answers:
                self.dns_port = int(answers[1])
            found = re.search(r"dtkdns listens on port (\d+)", line)
            if found:
                break
        else:
            raise SystemExit("dtkdns did not start")
        self._connection = http.client.HTTPConnection("127.0.0.1", int(found[1]))
        self.call("GET", "/")
        return time.perf_counter() - begin

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """One call, which must succeed."""
        self._connection.request(method, path, body, {"Content-Type": MEDIA_TYPE})
        response = self._connection.getresponse()
        answer = response.read()
        if response.status not in {200, 204}:
            raise SystemExit(f"{method} {path}: {response.status} {answer!r}")
        return answer

    def peak_memory(self) -> float:
        """Of the process, in MB."""
        with open(f"/proc/{self._process.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024

    def stop(self) -> None:
        """Stop it as an administrator would."""
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate()


def endpoints(names: range, address: str) -> list[dict[str, object]]:
    """What external-dns sends for Ingresses: an A record and its ownership TXT each."""
    found: list[dict[str, object]] = []
    for number in names:
        name = f"app-{number:06}.dtk.io"
        resource = f"ingress/default/app-{number:06}"
        heritage = f'"heritage=external-dns,external-dns/owner=default,external-dns/resource={resource}"'
        found += [
            {"dnsName": name, "targets": [address], "recordType": "A",
             "labels": {"owner": "default", "resource": resource}},
            {"dnsName": f"a-{name}", "targets": [heritage], "recordType": "TXT", "labels": {"ownedRecord": name}},
        ]  # fmt: skip
    return found


def timed(work: Callable[[], object], repeat: int = 1) -> float:
    """The seconds that one of several runs takes, in the middle of them."""
    taken = []
    for _ in range(repeat):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[len(taken) // 2]


def bare_write(directory: str, data: bytes) -> None:
    """What the disk alone takes to replace a file durably."""
    new, old = os.path.join(directory, "bare.new"), os.path.join(directory, "bare")
    with open(new, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(new, old)
    handle = os.open(directory, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def main(count: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        with open(os.path.join(directory, "hosts"), "wb") as file:
            file.write(b"127.0.0.1 localhost\n")
        service = Service(directory)
        all_of_them = endpoints(range(count), "10.32.0.45")
        load = json.dumps({"create": all_of_them}).encode()
        desired = json.dumps(all_of_them[::2]).encode()
        number = iter(range(count, 10 * count))

        def one() -> None:
            record = endpoints(range(next(number), count * 20)[:1], "10.32.0.45")
            service.call("POST", "/records", json.dumps({"create": record}).encode())

        service.call("POST", "/clusterip", b"192.168.122.166")
        decode = timed(lambda: json.loads(load))
        times = {"load": timed(lambda: service.call("POST", "/records", load))}
        with open(service.hosts, "rb") as file:
            block = file.read()
        disk = timed(lambda: bare_write(directory, block), 9)
        times["GET /records, first"] = timed(lambda: service.call("GET", "/records"))
        times["GET /records"] = timed(lambda: service.call("GET", "/records"), 5)
        times["POST /adjustendpoints"] = timed(lambda: service.call("POST", "/adjustendpoints", desired), 5)
        times["one change"] = timed(one, 21)
        times["every name moved"] = timed(lambda: service.call("POST", "/clusterip", b"192.168.122.167"))
        memory = service.peak_memory()
        service.stop()
        times["start until it answers"] = service.start()
        service.stop()
        print(f"{count} names, {2 * count} endpoints")
        print(f"body {len(load) / 1e6:.1f} MB, file {len(block) / 1e6:.1f} MB")
        print(f"{'measure':24} {'ms':>9} {'of json.loads':>14} {'of bare write':>14}")
        print(f"{'json.loads of the body':24} {decode * 1000:9.1f}")
        print(f"{'bare write of the file':24} {disk * 1000:9.1f}")
        for name, seconds in times.items():
            print(f"{name:24} {seconds * 1000:9.1f} {seconds / decode:14.2f} {seconds / disk:14.2f}")
        print(f"peak memory {memory:.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60_000)
