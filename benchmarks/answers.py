"""How fast names are answered by DNS, beside dnsmasq with the same names, and while all are loaded anew."""

from __future__ import annotations

import itertools
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import dnsperf, pauses, sent
from benchmarks.measures import SIZES, Found, Held, Measure
from benchmarks.server import ours

DNSMASQ = "dnsmasq"
RATE = Measure("dns-rate", "DNS answers over UDP", DNSMASQ, "1/s", Held.RATE, aims={10_000: 0.9})
LATE = Measure("dns-p99", f"DNS p99 at {dnsperf.STEADY} questions/s", DNSMASQ)
LOADED = Measure(
    "dns-p99-loaded",
    "the same while all records are loaded again and again",
    DNSMASQ,
    held=Held.ALONE,
    aims=dict.fromkeys(SIZES, pauses.LONGEST),
)


@contextmanager
def dnsmasq(directory: Path, port: int, size: int) -> Iterator[subprocess.Popen[bytes]]:
    """One that knows the names from a file and nothing else; SIGHUP makes it read the file again."""
    hosts = directory / "dnsmasq.hosts"
    hosts.write_text("".join(f"{sent.TARGET} {sent.name_of(number)}\n" for number in range(size)))
    command = ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", f"--addn-hosts={hosts}", f"--port={port}"]
    command += ["--conf-file=/dev/null", "--listen-address=127.0.0.1", "--bind-interfaces", "--pid-file="]
    command += ["--local=/dtk.io/", "--user=", "--group="]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        try:
            said = _until_read(process)
            assert process.poll() is None, said
            yield process
        finally:
            process.terminate()


def measure(size: int, directory: Path, seconds: float) -> Iterator[Found]:
    """Both servers run, and are asked in turn."""
    asked = dnsperf.questions(size, directory / "questions")
    with ours(directory / "answers") as (server, service):
        server.call("POST", "/records", sent.created(range(size)))
        own, theirs = service.dns_port, service.dns_port + 1
        with dnsmasq(directory, theirs, size) as other:
            rates = [dnsperf.answers_a_second(port, asked, seconds) for port in (own, theirs)]
            yield Found(RATE, rates[0], rates[1])
            late = [dnsperf.late_milliseconds(port, asked, seconds) for port in (own, theirs)]
            yield Found(LATE, late[0], late[1])
            targets = itertools.cycle(["10.32.0.46", sent.TARGET])
            bodies = itertools.cycle([sent.updated(range(size), sent.TARGET, next(targets)) for _ in range(2)])

            def load() -> None:
                server.call("POST", "/records", next(bodies))

            def read_again() -> None:
                other.send_signal(signal.SIGHUP)
                _until_read(other)

            found = [_late_while(*one, asked, seconds) for one in ((load, own), (read_again, theirs))]
            yield Found(LOADED, found[0], found[1])


def _until_read(process: subprocess.Popen[bytes]) -> list[bytes]:
    """What dnsmasq says until it has read the names."""
    assert process.stderr is not None
    return list(itertools.takewhile(lambda line: b" names" not in line, process.stderr))


def _late_while(load: Callable[[], object], port: int, asked: Path, seconds: float) -> float:
    """What `dnsperf` finds while this is done one time after the other."""
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            load()

    loading = threading.Thread(target=go_on)
    loading.start()
    try:
        return dnsperf.late_milliseconds(port, asked, seconds)
    finally:
        over.set()
        loading.join()
