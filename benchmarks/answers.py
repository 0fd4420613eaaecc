"""How fast names are answered by DNS, beside dnsmasq with the same names and the same questions.

    python benchmarks/answers.py [NAMES ...]

needs dnsmasq and dnsperf (Debian: dnsmasq-base, dnsperf). Both servers run at the same time and are asked in turn,
over UDP on the loopback interface. Then each is asked at a steady rate while its records are loaded anew:
dnsmasq by SIGHUP, dtkdns by a `POST /records` that moves every record.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from attrs import frozen
from records import Service, endpoints

ROUNDS = 3
SECONDS = 5
STEADY = 1_000, 10_000
"""Questions a second, far more than any desktop asks, for how long answers take."""
ADDRESS = "192.168.122.167"


@frozen
class Throughput:
    """As many questions as are answered: 100 under way at a time."""

    rate: float
    """Answers a second."""
    lost: int
    wrong: int


@frozen
class Waits:
    """A steady rate of questions; times in milliseconds."""

    middle: float
    late: float
    """Only one answer of a hundred comes later."""
    last: float
    lost: int


def dnsperf(port: int, questions: Path, *options: str) -> str:
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(questions), "-l", str(SECONDS), *options]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def throughput(port: int, questions: Path) -> Throughput:
    said = dnsperf(port, questions)
    right = number(r"NOERROR (\d+)", said)
    return Throughput(
        number(r"Queries per second: +([\d.]+)", said),
        int(number(r"Queries lost: +(\d+)", said)),
        int(number(r"Queries completed: +(\d+)", said) - right),
    )


def waits(port: int, questions: Path, rate: int) -> Waits:
    said = dnsperf(port, questions, "-v", "-Q", str(rate), "-q", "1000000", "-T", "1")
    times = sorted(float(time) * 1000 for time in re.findall(r"^> NOERROR \S+ A ([\d.]+)$", said, re.MULTILINE))
    return Waits(
        times[len(times) // 2],
        times[len(times) * 99 // 100],
        times[-1],
        int(number(r"Queries lost: +(\d+)", said)),
    )


def number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"dnsperf said nothing like {pattern!r}:\n{text}")
    return float(found[1])


@contextmanager
def dnsmasq(directory: Path, port: int, names: int) -> Iterator[subprocess.Popen[bytes]]:
    hosts = directory / "dnsmasq.hosts"
    hosts.write_text("".join(f"{ADDRESS} app-{n:06}.dtk.io\n" for n in range(names)))
    command = ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", f"--addn-hosts={hosts}", f"--port={port}"]
    command += ["--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file=", "--local=/dtk.io/"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    assert process.stderr is not None
    for line in process.stderr:
        if b"names" in line:
            break
    threading.Thread(target=process.stderr.read, daemon=True).start()
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def waits_while_loaded(port: int, questions: Path, rate: int, load: Callable[[], object]) -> Waits:
    loading = threading.Timer(1, load)
    loading.start()
    found = waits(port, questions, rate)
    loading.join()
    return found


def main(names: int) -> None:
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        (directory / "hosts").write_bytes(b"127.0.0.1 localhost\n")
        service = Service(made)
        service.call("POST", "/clusterip", ADDRESS.encode())
        service.call("POST", "/records", json.dumps({"create": endpoints(range(names), "10.32.0.45")}).encode())
        addresses = itertools.cycle(["10.32.0.46", "10.32.0.45"])

        def move() -> None:
            records = endpoints(range(names), next(addresses))
            service.call("POST", "/records", json.dumps({"updateNew": records}).encode())

        questions = directory / "questions"
        asked = random.Random(1).choices(range(names), k=200_000)
        questions.write_text("".join(f"app-{n:06}.dtk.io A\n" for n in asked))
        with dnsmasq(directory, service.dns_port + 1, names) as server:
            ports = {"dtkdns": service.dns_port, "dnsmasq": service.dns_port + 1}
            loads: dict[str, Callable[[], object]] = {
                "dtkdns": move,
                "dnsmasq": lambda: server.send_signal(signal.SIGHUP),
            }
            rounds = [{who: throughput(port, questions) for who, port in ports.items()} for _ in range(ROUNDS)]
            print(f"{names} names, {os.cpu_count()} cores, {ROUNDS} rounds of {SECONDS} s each")
            print(f"{'':10} {'answers/s':>30} {'lost':>6} {'wrong':>6}")
            for who in ports:
                runs = [one[who] for one in rounds]
                rates = " ".join(f"{run.rate:9.0f}" for run in runs)
                print(f"{who:10} {rates:>30} {sum(r.lost for r in runs):6} {sum(r.wrong for r in runs):6}")
            ratios = [one["dtkdns"].rate / one["dnsmasq"].rate for one in rounds]
            print(f"dtkdns to dnsmasq: {median(ratios):.2f}")
            for rate in STEADY:
                print(f"{rate} questions a second: {'p50 ms':>10} {'p99':>8} {'last':>8} {'lost':>6}")
                for who, port in ports.items():
                    line(who, waits(port, questions, rate))
                for who, port in ports.items():
                    line(f"{who}, while loaded", waits_while_loaded(port, questions, rate, loads[who]))
        print(f"peak memory of dtkdns {service.peak_memory():.0f} MB")
        service.stop()


def line(what: str, found: Waits) -> None:
    print(f"{what:30} {found.middle:8.3f} {found.late:8.3f} {found.last:8.1f} {found.lost:6}")


if __name__ == "__main__":
    for argument in sys.argv[1:] or ["10000", "60000"]:
        main(int(argument))
