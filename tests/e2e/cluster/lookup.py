"""What dtkdns' own DNS server tells the programs with which people ask it."""

from __future__ import annotations

import re

from desktop import Desktop


def dig(at: Desktop, name: str) -> tuple[str, list[str]]:
    """The status of the answer, and the data of its records."""
    said = _run(at, "dig", "+tries=1", "-p", str(at.service.dns_port), "@127.0.0.1", name, "A")[1]
    status = re.search(r"status: (\w+)", said)
    assert status is not None, said
    return status[1], re.findall(
        r"^\S+\s+\d+\s+IN\s+\w+\s+(.*)$", said.partition("ANSWER SECTION")[2], re.MULTILINE
    )


def nslookup(at: Desktop, name: str) -> tuple[int, list[str]]:
    """Its exit status, and the addresses that it shows, or why there are none."""
    status, said = _run(at, "nslookup", f"-port={at.service.dns_port}", name, "127.0.0.1")
    answer = said.partition("\n\n")[2]
    return status, re.findall(r"^(?:Address: |\*\* )(.*)$", answer, re.MULTILINE)


def no_such_name(name: str) -> tuple[int, list[str]]:
    """What nslookup says where there is none."""
    return 1, [f"server can't find {name}: NXDOMAIN"]


def _run(at: Desktop, *command: str) -> tuple[int, str]:
    done = at.namespace.run(*command)
    assert done.returncode in {0, 1}, f"dig and nslookup are in Debian's package bind9-dnsutils. {done}"
    return done.returncode, done.stdout
