"""Fuzzes the decoding of what external-dns sends, beside a reader of JSON whose branches the fuzzer can see.

    python tests/fuzz/wire.py CORPUS_DIRECTORY -dict=tests/fuzz/wire.dict -max_total_time=60

An input is a body as it is sent. One that starts with `!` says instead how a body is to be put together.
"""

from __future__ import annotations

import json
import json.decoder
import json.scanner
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))

with atheris.instrument_imports(include=["dtkdns"]):
    from dtkdns import names, wire
    from dtkdns.endpoint import Changes, Endpoint

from test_wire import (
    ENDPOINT_FIELDS,
    KNOWN,
    LISTS,
    NO_UNICODE,
    decode_endpoints,
    encoded_again,
    go_fold,
    go_reads,
)

# The decoder that is tried is a compiled one, so it is these parts in Python, used here only, that show the fuzzer
# which bytes make JSON.
for _part in (json.decoder.py_scanstring, json.decoder.JSONObject, json.decoder.JSONArray):
    atheris.instrument_func(_part)
atheris.instrument_func(json.scanner.py_make_scanner)

UNKNOWN = object()
"""What a body says that nests deeper than the reader can follow."""
NO_JSON = object()
"""What a body says that is not JSON."""

WELL_ESCAPED = re.compile(r"(?:[^\\]|\\[^u]|\\u[0-9A-Fa-f]{4})*", re.DOTALL)
MAX_DIGITS = 4000
MAX_DEPTH = 50
MAX_INTEGER = 10**300
FOLDED_LISTS = {go_fold(name): name for name in LISTS}


class Object(dict[str, Any]):
    """A JSON object: of a doubled key the last value, but `items` and `values` give all, because Go reads all."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs
        for key in self:
            key.encode()

    def items(self) -> list[tuple[str, Any]]:  # type: ignore[override]
        return self.pairs

    def values(self) -> list[Any]:  # type: ignore[override]
        return [value for _, value in self.pairs]


class Reader(json.JSONDecoder):
    """JSON after RFC 8259, of Unicode characters only."""

    def __init__(self) -> None:
        super().__init__(
            parse_int=lambda digits: int(digits.encode("ascii")[:MAX_DIGITS]),
            parse_float=lambda digits: float(digits.encode("ascii")),
            parse_constant=self.refuse,
            object_pairs_hook=Object,
        )
        self.parse_string = self.string
        self.scan_once = json.scanner.py_make_scanner(self)

    def refuse(self, word: str) -> None:
        raise ValueError(word)

    def string(self, text: str, start: int, strict: bool) -> tuple[str, int]:
        found, end = json.decoder.py_scanstring(text, start, strict)
        found.encode()
        if not WELL_ESCAPED.fullmatch(text, start, end - 1):
            raise ValueError(text)
        return found, end


READER = Reader()


def read(body: bytes) -> Any:
    """What the body says; `UNKNOWN` or `NO_JSON` where that cannot be told."""
    try:
        return READER.decode(body.decode("utf-8"))
    except RecursionError:
        return UNKNOWN
    except ValueError:
        return NO_JSON


def has_doubled_key(value: Any) -> bool:
    if isinstance(value, Object):
        return len(value.pairs) != len(value) or any(map(has_doubled_key, value.values()))
    return isinstance(value, list) and any(map(has_doubled_key, value))


def is_usual(value: Any, depth: int = 0) -> bool:
    """Whether there is nothing in it that may be refused although Go reads it.

    That is: numbers beyond those of a double, a nesting no program writes, and letters that one casing folds
    to several.
    """
    if depth > MAX_DEPTH:
        return False
    if isinstance(value, Object):
        return all(key.casefold() == go_fold(key) or key.isascii() for key in value) and all(
            is_usual(item, depth + 1) for item in value.values()
        )
    if isinstance(value, list):
        return all(is_usual(item, depth + 1) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return not isinstance(value, int) or abs(value) < MAX_INTEGER


def is_list_of_endpoints(value: Any) -> bool:
    """Whether Go reads endpoints from it and none is without a value."""
    return value is None or (
        isinstance(value, list)
        and all(isinstance(element, Object) and go_reads(element, ENDPOINT_FIELDS) for element in value)
    )


def must_be_accepted(value: Any) -> bool:
    return is_list_of_endpoints(value) and is_usual(value) and not has_doubled_key(value)


def check_endpoints(endpoints: list[Endpoint], said: Any) -> None:
    """What was accepted is what external-dns reads when it gets it back."""
    encoded = encoded_again(endpoints)
    assert decode_endpoints(encoded) == endpoints
    json.loads(encoded.decode("utf-8"))
    if said is UNKNOWN:
        return
    assert is_list_of_endpoints(said)
    elements = said or []
    assert read(encoded) == elements
    for endpoint, element in zip(endpoints, elements, strict=True):
        assert wire.decode_endpoint(endpoint.document) == endpoint
        assert read(endpoint.document) == element
        assert endpoint.key == (
            names.normalise(element.get("dnsName") or ""),
            element.get("recordType") or "",
            element.get("setIdentifier") or "",
        )
        assert endpoint.targets == (() if endpoint.is_note else tuple(element.get("targets") or ()))
        assert type(endpoint.ttl) is int
        assert endpoint.ttl == (element.get("recordTTL") or 0)
        assert -(2**63) <= endpoint.ttl < 2**63
        labels = element.get("labels") or {}
        assert endpoint.resource == labels.get("resource", "")
        assert endpoint.owned == labels.get("ownedRecord")


def check_refusal(error: wire.WireError) -> None:
    message = str(error)
    assert message.isprintable()
    assert message.endswith(".")


def check_document(body: bytes, said: Any) -> None:
    try:
        endpoint = wire.decode_endpoint(body)
    except wire.WireError as error:
        check_refusal(error)
        assert not must_be_accepted([said])
    else:
        check_endpoints([endpoint], said if said is UNKNOWN else [said])


def check_list(body: bytes, said: Any) -> None:
    try:
        endpoints = decode_endpoints(body)
    except wire.WireError as error:
        check_refusal(error)
        assert said is UNKNOWN or not must_be_accepted(said)
    else:
        check_endpoints(endpoints, said)


def lists_of(said: Object) -> dict[str, Any]:
    """The lists by their name, of each the last that was said."""
    return {FOLDED_LISTS[go_fold(key)]: value for key, value in said.items() if go_fold(key) in FOLDED_LISTS}


def check_changes(body: bytes, said: Any) -> None:
    try:
        changes = wire.decode_changes(body)
    except wire.WireError as error:
        check_refusal(error)
        if isinstance(said, Object) and is_usual(said):
            values = [value for key, value in said.items() if go_fold(key) in FOLDED_LISTS]
            assert not all(map(must_be_accepted, values))
    else:
        check_parts(changes, said)


def check_parts(changes: Changes, said: Any) -> None:
    """Each list is what was said. Of the same key twice only one value is looked at, as nobody reads it back."""
    assert said is UNKNOWN or isinstance(said, Object)
    told = isinstance(said, Object) and len(said.pairs) == len(said)
    lists = lists_of(said) if told else {}
    parts = (changes.create, changes.update_old, changes.update_new, changes.delete)
    for name, part in zip(LISTS, parts, strict=True):
        check_endpoints(list(part), lists.get(name) if told else UNKNOWN)


# Bodies put together from what the fuzzer says

TOKENS = [
    *(b"null", b"true", b"false", b"0", b"-0", b"300", b"300.0", b"3e2", b"1e400", b"-1.5E-7", b"01", b"NaN"),
    *(str(number).encode() for number in (2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64)),
    *(b'""', b'"foo.dtk.io"', b'"A"', b'"CNAME"', '"b\u00fccher.io."'.encode(), b'"\\ud83d\\ude00"', b'"\\u0000"'),
    *(b"[]", b"{}", b'["10.0.0.1"]', b'{"a":"b"}', b'{"a":"b","a":"c"}', b'[{"name":"a","value":"b"}]', b"[[]]"),
    *(b'"%b"' % torn for torn in NO_UNICODE),
]
KEYS = [
    *KNOWN,
    *("name", "value", "x", "", "DNSName", "dnsname", "RecordTTL", "NAME", "Value"),
    *("target\u017f", "\u017fetIdentifier", "label\u017f", "d\\u006esName", "set\\u0049dentifier"),
]
LIST_KEYS = ["create", "updateOld", "updateNew", "delete", "Create", "UpdateOld", "CREATE", "x", "UpdateNe\\u0077"]
SPACES = [b"", b"", b"", b" ", b"\r\n\t", b"\x0b", b"\xef\xbb\xbf"]

Maker = Callable[[atheris.FuzzedDataProvider, int], bytes]


def make_value(fdp: atheris.FuzzedDataProvider, depth: int) -> bytes:
    kind = fdp.ConsumeIntInRange(0, 9)
    if kind == 0 and depth < 6:
        return make_array(fdp, depth + 1, make_value)
    if kind == 1 and depth < 6:
        return make_object(fdp, depth + 1, KEYS)
    if kind == 2:
        return b'"%b"' % fdp.ConsumeBytes(fdp.ConsumeIntInRange(0, 12))
    if kind == 3:
        return fdp.ConsumeBytes(fdp.ConsumeIntInRange(0, 4))
    if kind == 4:
        return json.dumps(fdp.ConsumeUnicode(fdp.ConsumeIntInRange(0, 8))).encode()
    return TOKENS[fdp.ConsumeIntInRange(0, len(TOKENS) - 1)]


GOOD = {
    "dnsName": [b'"foo.dtk.io"', b'"Foo.dtk.io."', '"B\u00dcCHER.io"'.encode(), b'""', b"null"],
    "targets": [b'["10.0.0.1","fd00::1"]', b'["foo.dtk.io"]', b"[]", b"null"],
    "recordType": [b'"A"', b'"AAAA"', b'"CNAME"', b'"TXT"', b"null"],
    "setIdentifier": [b'"S"', b'""', b"null"],
    "recordTTL": [b"300", b"0", b"9223372036854775807", b"-9223372036854775808", b"null"],
    "labels": [b'{"resource":"ingress/default/test"}', b'{"a":"b","c":""}', b"{}", b"null"],
    "providerSpecific": [
        b'[{"name":"a","value":"b"},{"name":null}]',
        b'[{"value":"x","more":[1]}]',
        b"[]",
        b"null",
    ],
}


def make_field(fdp: atheris.FuzzedDataProvider, depth: int, keys: list[str]) -> bytes:
    key = keys[fdp.ConsumeIntInRange(0, len(keys) - 1)]
    if keys is LIST_KEYS:
        value = make_array(fdp, depth + 1, make_endpoint) if fdp.ConsumeBool() else make_value(fdp, depth + 1)
    elif key in GOOD and fdp.ConsumeIntInRange(0, 3):
        value = GOOD[key][fdp.ConsumeIntInRange(0, len(GOOD[key]) - 1)]
    else:
        value = make_value(fdp, depth + 1)
    return b'"%b":%b' % (key.encode(), value)


def make_object(fdp: atheris.FuzzedDataProvider, depth: int, keys: list[str]) -> bytes:
    space = SPACES[fdp.ConsumeIntInRange(0, len(SPACES) - 1)]
    fields = [make_field(fdp, depth, keys) for _ in range(fdp.ConsumeIntInRange(0, 4))]
    return b"{" + (space + b"," + space).join(fields) + space + b"}"


def make_endpoint(fdp: atheris.FuzzedDataProvider, depth: int) -> bytes:
    return make_object(fdp, depth, KEYS) if fdp.ConsumeIntInRange(0, 7) else make_value(fdp, depth)


def make_array(fdp: atheris.FuzzedDataProvider, depth: int, make: Maker) -> bytes:
    space = SPACES[fdp.ConsumeIntInRange(0, len(SPACES) - 1)]
    elements = [make(fdp, depth) for _ in range(fdp.ConsumeIntInRange(0, 3))]
    return b"[" + space + b",".join(elements) + space + b"]"


def make_body(fdp: atheris.FuzzedDataProvider) -> bytes:
    """A body that is mostly good, and at times cut."""
    body = make_object(fdp, 0, LIST_KEYS) if fdp.ConsumeBool() else make_array(fdp, 0, make_endpoint)
    if fdp.ConsumeIntInRange(0, 7) == 1:
        at = fdp.ConsumeIntInRange(0, len(body))
        body = body[:at] + fdp.ConsumeBytes(2) + body[at + fdp.ConsumeIntInRange(0, 2) :]
    return body


@atheris.instrument_func
def test_one_input(data: bytes) -> None:
    body = make_body(atheris.FuzzedDataProvider(data[1:])) if data.startswith(b"!") else data
    said = read(body)
    check_document(body.strip(b" \t\r\n"), said)
    check_list(body, said)
    check_changes(body, said)


if __name__ == "__main__":
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
