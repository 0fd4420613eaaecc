"""What decoding takes in memory: under 12 times a body of 4 MiB or more, whatever it holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

SIZE = 4_400_000
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


def many(item: str, opening: str = "[", closing: str = "]", size: int = SIZE) -> str:
    return opening + ",".join([item] * (size // (len(item.encode()) + 1))) + closing


def word(number: int, length: int) -> str:
    return "".join(LETTERS[number >> 6 * place & 63] for place in range(length))


def distinct(item: str, length: int, opening: str = "[", closing: str = "]", size: int = SIZE) -> str:
    count = size // (len(item.encode()) - 1 + length)
    return opening + ",".join([item.replace("%", word(number, length)) for number in range(count)]) + closing


def several(item: str, of: int) -> str:
    return "[" + ",".join([item] * (SIZE // of)) + "]"


NAME = (
    '{"dnsName":"name-%.dtk.io","targets":["10.32.0.1"],"recordType":"A",MORE"labels":{"owner":"default","resource":'
    '"ingress/team/name-%"}},{"dnsName":"a-name-%.dtk.io","targets":["\\"heritage=external-dns,external-dns/owner='
    'default,external-dns/resource=ingress/team/name-%\\""],"recordType":"TXT",MORE"labels":{"ownedRecord":'
    '"name-%.dtk.io","owner":"default","resource":"ingress/team/name-%"}}'
)
"""A name as external-dns sends it, with its record of ownership."""


def names(count: int, more: str = "") -> str:
    return ",".join(NAME.replace("MORE", more).replace("%", f"{number:05d}") for number in range(count))


def updates() -> str:
    return '{"updateOld":[' + names(6000) + '],"updateNew":[' + names(6000, '"recordTTL":300,') + "]}"


def large(text: str) -> str:
    return "[" + names(7500) + ',{"dnsName":"large.dtk.io","targets":[' + text + '],"recordType":"TXT"}]'


def behind(body: str) -> str:
    """A body whose endpoints no longer look like external-dns' own, behind some that do."""
    return "[" + names(150) + "," + body[1:].replace('"dnsName"', '"dnsNam\\u0065"')


MIB = 1 << 20
WIDE = "\U0001f600"
SENT: dict[str, Callable[[], str]] = {
    "create": lambda: '{"create":[' + names(12000) + "]}",
    "updates": updates,
    "updates of v0.16": lambda: updates().replace("update", "Update"),
    "adjust": lambda: "[" + names(12000) + "]",
    "few fields": lambda: distinct('{"dnsName":"%.dtk.io","targets":["10.0.0.1"],"recordType":"A"}', 4),
    "large text": lambda: large('"' + '{\\",' * 370_000 + '"'),
    "large list": lambda: large(many('"10.32.100.123"', "", "", 1_500_000)),
}
"""Bodies that external-dns can send."""

BODIES = {
    **SENT,
    "objects": lambda: many("{}"),
    "objects to create": lambda: '{"create":' + many("{}") + "}",
    "wide names behind what is sent": lambda: behind(BODIES["wide names in escapes"]()),
    "numbers": lambda: many("1"),
    "nulls": lambda: many("null"),
    "empty texts": lambda: many('""'),
    "arrays": lambda: many("[]"),
    "deep arrays": lambda: many('{"x":' + "[" * 900 + "]" * 900 + "}"),
    "short names": lambda: distinct('{"dnsName":"%"}', 4),
    "longer names": lambda: distinct('{"dnsName":"%.aaaaaaaaaaaaa"}', 4),
    "short names of upper case": lambda: distinct('{"dnsName":"A%.aaaaaaaaaaaa."}', 4),
    "short wide names": lambda: distinct('{"dnsName":"' + WIDE + '%aaaaaaaaaaaaaaaaa"}', 4),
    "medium wide names": lambda: distinct('{"dnsName":"' + WIDE + '%.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}', 4),
    "wide names in escapes": lambda: distinct('{"dnsName":"\\ud83d\\ude00%aaaaaaaaaaaaa"}', 4),
    "wide names": lambda: distinct('{"dnsName":"' + WIDE + '%.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}', 4),
    "wide targets": lambda: many('{"targets":["' + WIDE + 'aaaaaaaaaaaaaaaaaaaa"]}'),
    "unknown fields": lambda: many('{"x":1}'),
    "empty targets in one": lambda: "[" + many('""', '{"targets":[', "]}") + "]",
    "targets in one": lambda: "[" + distinct('"%"', 2, '{"targets":[', "]}") + "]",
    "targets in some": lambda: several(distinct('"%"', 2, '{"targets":[', "]}", MIB), MIB),
    "targets in many": lambda: several(distinct('"%"', 4, '{"targets":[', "]}", 4000), 4000),
    "labels in one": lambda: "[" + distinct('"%":"a"', 4, '{"labels":{', "}}") + "]",
    "labels in some": lambda: several(distinct('"%":""', 3, '{"labels":{', "}}", MIB), MIB),
    "labels in many": lambda: several(distinct('"%":""', 2, '{"labels":{', "}}", 100), 100),
    "properties in one": lambda: "[" + many("{}", '{"providerSpecific":[', "]}") + "]",
    "properties in some": lambda: several(distinct('{"name":"%"}', 3, '{"providerSpecific":[', "]}", MIB), MIB),
    "unknown properties in some": lambda: several(many('{"x":1}', '{"providerSpecific":[', "]}", MIB), MIB),
    "an unknown list": lambda: '[{"x":' + many("[]") + "}]",
    "unknown objects": lambda: '[{"x":' + many('{"a":1}') + "}]",
    "unknown keys": lambda: several(distinct('"%":1', 4, "{", "}", MIB), MIB),
    "unknown lists of changes": lambda: distinct('"%":1', 4, "{", "}"),
    "lists twice": lambda: many('"create":[]', "{", "}"),
    "one key twice": lambda: "[" + many('"targets":["a"]', "{", "}") + "]",
    "a long number": lambda: '[{"recordTTL":' + "9" * SIZE + "}]",
    "a long name": lambda: '[{"dnsName":"' + "A" * SIZE + WIDE + '."}]',
    "escapes": lambda: '[{"dnsName":"' + "\\u0061" * (SIZE // 6) + '\\ud83d\\ude00"}]',
    "blanks": lambda: "[" + " " * SIZE + "]",
    "blanks in an object": lambda: "[{" + " " * SIZE + "}]",
    "a text": lambda: '"' + "a" * SIZE + '"',
}

CHILD = r"""
import os, sys
from dtkdns.garbage import uncollected
from dtkdns.allowance import TooManyError
from dtkdns.slices import at_once
from dtkdns.wire import WireError, decode_changes, decode_endpoints, decoding_desired


def resident(line):
    with open("/proc/self/status") as status:
        return next(int(found.split()[1]) * 1024 for found in status if found.startswith(line))


body = sys.stdin.buffer.read()
decode = {
    "changes": decode_changes,
    "endpoints": decode_endpoints,
    "desired": lambda body: at_once(decoding_desired(body)),
}[sys.argv[1]]
with open("/proc/self/clear_refs", "w") as peak:
    peak.write("5")
before, said = resident("VmRSS"), "accepted"
try:
    with uncollected():
        kept = decode(body)
except (TooManyError, WireError) as error:
    said = type(error).__name__
print((resident("VmHWM") - before) / len(body), said)
"""


@pytest.mark.parametrize("name", BODIES)
def test_decoding_takes_less_than_12_times_the_body(name: str) -> None:
    body = BODIES[name]().encode()
    assert len(body) > 4 * MIB
    for what in ["changes"] if body.startswith(b"{") else ["endpoints", "desired"]:
        command = [sys.executable, "-c", CHILD, what]
        child = subprocess.run(command, input=body, capture_output=True, check=True)
        ratio, said = child.stdout.split()
        assert float(ratio) < 12
        if name in SENT:
            assert said == b"accepted"
