"""JSON to endpoints and back, strict enough that external-dns can read every byte given back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dtkdns import wire
from dtkdns.allowance import LARGE_ENDPOINT, MOST_ENDPOINTS, Allowance, TooManyError
from dtkdns.endpoint import Changes, Endpoint
from dtkdns.slices import STRIDE, at_once
from dtkdns.wire import WireError

FOO = (
    b'{"dnsName":"Foo.dtk.io.","targets":["10.0.0.1","10.0.0.2"],"recordType":"A","setIdentifier":"S","recordTTL":300,'
    b'"labels":{"resource":"ingress/default/test"},"providerSpecific":[{"name":"webhook/foo","value":"v"},{"name":"x"}]}'
)

NO_UNICODE = [
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xe2\x82",
    b"\x80",
    b"\\ud800",
    b"\\udc00\\ud800",
]
"""Bytes that are not UTF-8, and escapes that are half a character."""

KNOWN = ("dnsName", "targets", "recordType", "setIdentifier", "recordTTL", "labels", "providerSpecific")
FOLDS = {0x17F: "s", 0x212A: "k"}
"""The only letters beyond ASCII that Go's `unicode.SimpleFold` takes into ASCII."""


def go_fold(key: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in key.translate(FOLDS))


def is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def is_string(value: Any) -> bool:
    return isinstance(value, str)


def is_int64(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def is_labels(value: Any) -> bool:
    return isinstance(value, dict) and is_strings(list(value.values()))


def is_properties(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, dict) and go_reads(item, {"name": is_string, "value": is_string}) for item in value
    )


ENDPOINT_FIELDS: dict[str, Callable[[Any], bool]] = {
    "dnsName": is_string,
    "targets": is_strings,
    "recordType": is_string,
    "setIdentifier": is_string,
    "recordTTL": is_int64,
    "labels": is_labels,
    "providerSpecific": is_properties,
}


def go_reads(fields: dict[str, Any], shapes: dict[str, Callable[[Any], bool]]) -> bool:
    """Whether the Go struct with these fields can be read from the object, with no key in another spelling."""
    folded = {go_fold(name) for name in shapes}
    return all(
        value is None or shapes[key](value) if key in shapes else go_fold(key) not in folded
        for key, value in fields.items()
    )


def refusal(decode: Callable[[bytes], object], body: bytes) -> str | None:
    """The sentence that refuses a body, or None for one that is accepted."""
    try:
        decode(body)
    except WireError as error:
        return str(error)
    return None


def decode_endpoints(body: bytes) -> list[Endpoint]:
    """What `wire.decode_endpoints` says of a body; `decoding_desired` has to accept or to refuse the same."""
    try:
        endpoints = wire.decode_endpoints(body)
    except (TooManyError, WireError) as error:
        with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"):
            at_once(wire.decoding_desired(body))
        raise
    desired = at_once(wire.decoding_desired(body))
    assert desired.keys == [endpoint.key for endpoint in endpoints]
    assert list(map(bytes, desired.documents)) == [endpoint.document for endpoint in endpoints]
    return endpoints


def encoded_again(endpoints: list[Endpoint]) -> bytes:
    return at_once(wire.encoding_endpoints(endpoint.document for endpoint in endpoints))


STRINGS = st.one_of(
    st.sampled_from(["", "foo.dtk.io", "b\u00fccher.io", "\U0001f600", "\u2028", "\x00", '"\\/']), st.text()
)
ANY_JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64),
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from([300.0, -0.0, 2**63, -(2**63), 10**22]),
        STRINGS,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(STRINGS, inner, max_size=3)),
    max_leaves=6,
)
SPELLINGS = st.sampled_from(
    [
        spelling
        for key in (*KNOWN, "name", "value")
        for spelling in (
            key.upper(),
            key.lower(),
            key.capitalize(),
            key.replace("s", "\u017f"),
            key.replace("k", "\u212a"),
        )
        if spelling not in (*KNOWN, "name", "value")
    ]
)
PROPERTIES = st.dictionaries(
    st.one_of(st.sampled_from(["name", "value"]), SPELLINGS), st.one_of(st.none(), STRINGS, ANY_JSON), max_size=3
)
GOOD_FIELDS = {
    "dnsName": STRINGS,
    "targets": st.lists(STRINGS, max_size=3),
    "recordType": st.sampled_from(["A", "AAAA", "CNAME", "TXT", "SRV", ""]),
    "setIdentifier": STRINGS,
    "recordTTL": st.integers(-(2**63), 2**63 - 1),
    "labels": st.dictionaries(
        st.one_of(st.sampled_from(["resource", "ownedRecord"]), STRINGS), STRINGS, max_size=3
    ),
    "providerSpecific": st.lists(
        st.fixed_dictionaries({}, optional={"name": STRINGS, "value": STRINGS, "more": ANY_JSON}), max_size=2
    ),
}
GOOD_ENDPOINTS = st.fixed_dictionaries(
    {},
    optional={
        **{key: st.one_of(st.none(), values) for key, values in GOOD_FIELDS.items()},
        "someday": ANY_JSON,
        "": ANY_JSON,
        "b\u00fccher": ANY_JSON,
    },
)


@st.composite
def any_endpoints(draw: st.DrawFn) -> dict[str, Any]:
    """Mostly good, with at most two fields of any shape under any spelling."""
    fields: dict[str, Any] = draw(GOOD_ENDPOINTS)
    strange = st.dictionaries(
        st.one_of(st.sampled_from(KNOWN), SPELLINGS, STRINGS),
        st.one_of(ANY_JSON, st.lists(PROPERTIES)),
        max_size=2,
    )
    return {**fields, **draw(strange)}


@st.composite
def good_documents(draw: st.DrawFn) -> bytes:
    """A good endpoint in one of the many ways to write it."""
    return json.dumps(
        draw(GOOD_ENDPOINTS),
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (" ,\n", "\t: "), (", ", ": ")])),
        indent=draw(st.sampled_from([None, 1])),
    ).encode()


def body_of(documents: list[bytes], space: bytes = b"") -> bytes:
    return space + b"[" + (space + b"," + space).join(documents) + space + b"]" + space


def test_every_field_of_an_endpoint_is_read() -> None:
    (endpoint,) = decode_endpoints(b"[" + FOO + b"]\n")
    assert endpoint.key == ("foo.dtk.io", "A", "S")
    assert endpoint.targets == ("10.0.0.1", "10.0.0.2")
    assert endpoint.ttl == 300
    assert endpoint.resource == "ingress/default/test"
    assert endpoint.owned is None
    assert endpoint.document == FOO
    assert wire.decode_endpoint(FOO) == endpoint


@pytest.mark.parametrize(
    "document",
    [
        b"{}",
        b'{"dnsName":null,"targets":null,"recordType":null,"setIdentifier":null,"recordTTL":null,"labels":null,'
        b'"providerSpecific":null}',
        b'{"dnsName":"","targets":[],"recordType":"","setIdentifier":"","recordTTL":0,"labels":{},"providerSpecific":[]}',
        b'{"providerSpecific":[{}]}',
        b'{"recordTTL":-0}',
    ],
)
def test_a_field_that_is_missing_or_null_has_the_zero_value_it_has_in_go(document: bytes) -> None:
    endpoint = wire.decode_endpoint(document)
    assert endpoint.key == ("", "", "")
    assert endpoint.targets == ()
    assert endpoint.ttl == 0
    assert endpoint.resource == ""
    assert endpoint.owned is None


@pytest.mark.parametrize(
    "document",
    [
        b'{"dnsName":"a","x":[1e300,-1.5E-7,true,false,null,{"a":{}},[]],"":"","dnsNames":5}',
        b'{"dnsName":"a","providerSpecific":[{"name":"a","value":"b","x":{"Name":1}}]}',
        b'{"dnsName":"a","x":{"DNSNAME":1,"recordttl":"abc"}}',
        b'{"dnsName":"a","labels":{"dnsname":"1","DNSName":"2"}}',
        b'{"dnsName":"a","x":"\\ud83d\\ude00 \\u0000 \\/ \\u003c"}',
        b'{"dn\\u0073Name":"a"}',
        b'{"dnsName":"a","x":' + b"[" * 100 + b"]" * 100 + b"}",
        b'{"dnsName":"a","x":' + b'{"dnsName":' * 100 + b"5" + b"}" * 100 + b"}",
        b'{"dnsName":"b","dnsName":"a"}',
    ],
)
def test_what_go_reads_is_accepted_with_the_fields_unknown_here_and_kept_to_the_byte(document: bytes) -> None:
    (endpoint,) = decode_endpoints(b"[" + document + b"]")
    assert endpoint.key[0] == "a"
    assert endpoint.document == document
    assert encoded_again([endpoint]) == b"[" + document + b"]"


@pytest.mark.parametrize(
    "field",
    [
        b'"recordTTL":12345678901234567890123',
        b'"recordTTL":9223372036854775808',
        b'"recordTTL":-9223372036854775809',
        b'"recordTTL":' + b"9" * 5000,
        b'"recordTTL":300.0',
        b'"recordTTL":3e2',
        b'"recordTTL":1e400',
        b'"recordTTL":"300"',
        b'"recordTTL":true',
        b'"recordTTL":[300]',
        b'"dnsName":5',
        b'"dnsName":["a"]',
        b'"recordType":false',
        b'"setIdentifier":{}',
        b'"targets":"10.0.0.1"',
        b'"targets":[null]',
        b'"targets":["10.0.0.1",null]',
        b'"targets":[1]',
        b'"targets":[["10.0.0.1"]]',
        b'"targets":{}',
        b'"labels":[]',
        b'"labels":{"a":1}',
        b'"labels":{"a":null}',
        b'"labels":{"a":{"b":"c"}}',
        b'"providerSpecific":{}',
        b'"providerSpecific":"x"',
        b'"providerSpecific":[null]',
        b'"providerSpecific":["x"]',
        b'"providerSpecific":[{"name":1}]',
        b'"providerSpecific":[{"name":"a","value":["b"]}]',
    ],
)
def test_a_value_that_go_could_not_read_back_is_refused(field: bytes) -> None:
    for unknown in (b"", b',"x":1'):
        with pytest.raises(WireError, match="not one that external-dns could read back"):
            decode_endpoints(b"[" + FOO + b",{" + field + unknown + b"}]")


@pytest.mark.parametrize(
    "key",
    [
        "\u017fetIdentifier",
        "SETIDENTIFIER",
        "dnsname",
        "DNSName",
        "\\u0044nsName",
        "target\u017f",
        "target\\u017f",
        "Targets",
        "recordttl",
        "RecordType",
        "label\u017f",
        "providerspecific",
        "provider\u017fpecific",
    ],
)
def test_a_key_that_go_would_take_for_a_known_one_is_refused(key: str) -> None:
    for value in (b"null", b'"abc"', b"5", b"[]"):
        with pytest.raises(WireError, match="which Go reads as another spelling"):
            decode_endpoints(b'[{"dnsName":"a","' + key.encode() + b'":' + value + b"}]")


@pytest.mark.parametrize("key", ["Name", "NAME", "Value", "valu\\u0045"])
def test_a_key_of_a_property_in_another_spelling_is_refused(key: str) -> None:
    with pytest.raises(WireError, match="which Go reads as another spelling"):
        wire.decode_endpoint(b'{"providerSpecific":[{"name":"a"},{"' + key.encode() + b'":1}]}')


def test_a_key_in_another_spelling_is_shown_in_ascii() -> None:
    with pytest.raises(WireError, match=r"which Go reads as another spelling: .*'\\u017fetIdentifier'"):
        wire.decode_endpoint('{"\u017fetIdentifier":"a"}'.encode())


@pytest.mark.parametrize(
    "document",
    [
        b'{"recordTTL":"abc","recordTTL":1}',
        b'{"recordTTL":12345678901234567890123,"recordTTL":1}',
        b'{"targets":"a","targets":["a"]}',
        b'{"dnsName":5,"x":1,"dn\\u0073Name":"a"}',
        b'{"labels":{"a":1,"a":"b"}}',
        b'{"labels":{"a":1},"labels":{}}',
        b'{"providerSpecific":5,"providerSpecific":[]}',
        b'{"providerSpecific":[{"name":1,"name":"a"}]}',
        b'{"providerSpecific":[{"name":1}],"providerSpecific":null}',
        b'{"providerSpecific":[{"Name":1}],"providerSpecific":[{"name":"a"}]}',
    ],
)
def test_a_value_that_go_could_not_read_back_is_refused_even_when_a_good_one_follows(document: bytes) -> None:
    with pytest.raises(WireError):
        decode_endpoints(b"[" + document + b"]")


@pytest.mark.parametrize(
    "document",
    [
        b'{"dnsName":"%s"}',
        b'{"targets":["%s"]}',
        b'{"labels":{"%s":"a"}}',
        b'{"labels":{"a":"%s"}}',
        b'{"providerSpecific":[{"name":"%s"}]}',
        b'{"providerSpecific":[{"x":"%s"}]}',
        b'{"providerSpecific":[{"%s":1}]}',
        b'{"x":"%s"}',
        b'{"%s":1}',
        b'{"x":{"y":["%s"]}}',
        b'{"x":{"%s":1}}',
        b'{"x":"%s","x":1}',
        b'{"dnsName":"%s","dnsName":"a"}',
        b'{"dnsName":"a"%s}',
        b'{"dnsName":"a"}%s',
        b"%s",
    ],
)
def test_text_that_is_no_unicode_is_refused_wherever_it_stands(document: bytes) -> None:
    for bad in NO_UNICODE:
        torn = document.replace(b"%s", bad)
        with pytest.raises(WireError):
            wire.decode_endpoint(torn)
        with pytest.raises(WireError):
            decode_endpoints(b"[" + torn + b"]")
        with pytest.raises(WireError):
            wire.decode_changes(b'{"create":[' + torn + b"]}")


@pytest.mark.parametrize(
    "body", [b'{"%s":1}', b'{"x":"%s"}', b'{"x":{"%s":[]}}', b'{"x":["%s"],"x":1}', b"{}%s", b"%s{}"]
)
def test_text_that_is_no_unicode_is_refused_outside_of_the_endpoints_too(body: bytes) -> None:
    for bad in NO_UNICODE:
        with pytest.raises(WireError):
            wire.decode_changes(body.replace(b"%s", bad))


MALFORMED = [
    b"",
    b" \n",
    b"nul",
    b'"',
    b"{",
    b"[",
    b"[{}",
    b"[{}]]",
    b"[{},]",
    b"[,{}]",
    b"[{}] x",
    b"[]\x00",
    b"[]\x0c",
    b"\x0b[]",
    b"\xa0[]",
    b"\xef\xbb\xbf[]",
    "[]".encode("utf-16"),
    b"[] // comment",
    b'[{"x":1,}]',
    b'[{"x":[1,]}]',
    b'[{"x":01}]',
    b'[{"x":+1}]',
    b'[{"x":.5}]',
    b'[{"x":1.}]',
    b'[{"x":1e}]',
    b'[{"x":-}]',
    b'[{"x":0x1}]',
    b'[{"x":NaN}]',
    b'[{"x":Infinity}]',
    b'[{"x":True}]',
    b'[{"x":tru}]',
    b"[{\"x\":'a'}]",
    b"[{x:1}]",
    b'[{"x"}]',
    b'[{"x":}]',
    b'[{"x":1 "y":2}]',
    b'[{"x":"a\nb"}]',
    b'[{"x":"a\x00b"}]',
    b'[{"dnsName":"a\tb"}]',
    b'[{"x":"\\x41"}]',
    b'[{"x":"\\u12g4"}]',
    b'[{"x":"\\u12"}]',
    b'[{"x":[}]}]',
]


@pytest.mark.parametrize("body", MALFORMED)
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(WireError, match="The body is not a JSON array of endpoints"):
        decode_endpoints(body)
    with pytest.raises(WireError):
        wire.decode_changes(b'{"create":' + body + b"}")
    with pytest.raises(WireError):
        wire.decode_changes(b'{"x":' + body + b"}")


@pytest.mark.parametrize(
    "document", [b"", b" ", b"{", b'{"dnsName":"a"', b'{"dnsName":"a"}}', b'{"dnsName":"a"}{}', b"\xff"]
)
def test_a_torn_document_is_refused(document: bytes) -> None:
    with pytest.raises(WireError, match="An endpoint is not valid JSON"):
        wire.decode_endpoint(document)


@pytest.mark.parametrize("body", [b"{}", b"1", b'"a"', b"true", b'{"create":[]}'])
def test_the_endpoints_must_be_in_an_array(body: bytes) -> None:
    with pytest.raises(WireError, match="The body is not a JSON array of endpoints"):
        decode_endpoints(body)


@pytest.mark.parametrize("element", [b"null", b"[]", b"1", b'"a"', b"true", b"[{}]"])
def test_an_element_that_is_no_object_is_refused(element: bytes) -> None:
    with pytest.raises(WireError, match=r"^The body is not a JSON array of endpoints: Expected `object"):
        decode_endpoints(b"[" + FOO + b"," + element + b"]")
    with pytest.raises(WireError, match=r"^'create' is not a JSON array of endpoints: Expected `object"):
        wire.decode_changes(b'{"create":[' + FOO + b"," + element + b"]}")


@pytest.mark.parametrize("opening_closing", [(b"[", b"]"), (b'{"a":', b"}"), (b'[{"x":', b"}]")])
@pytest.mark.parametrize(
    "shape",
    [
        b"%s",
        b'[{"x":%s}]',
        b'[{"labels":%s}]',
        b'[{"targets":%s}]',
        b'[{"recordTTL":"","x":%s}]',
        b'[{"providerSpecific":[{"x":%s}]}]',
    ],
)
def test_nesting_deeper_than_go_reads_is_refused(shape: bytes, opening_closing: tuple[bytes, bytes]) -> None:
    opening, closing = opening_closing
    for inner in (b"1", b""):
        body = shape.replace(b"%s", opening * 100_000 + inner + closing * 100_000)
        with pytest.raises(WireError):
            decode_endpoints(body)
        with pytest.raises(WireError):
            wire.decode_endpoint(body)
        with pytest.raises(WireError):
            wire.decode_changes(b'{"create":' + body + b"}")
        with pytest.raises(WireError):
            wire.decode_changes(b'{"x":' + body + b"}")


def test_null_and_an_empty_array_are_no_endpoints() -> None:
    for body in (b"null", b" null\n", b"[]", b"[ ]\n"):
        assert decode_endpoints(body) == []


def test_white_space_around_a_document_is_not_part_of_it() -> None:
    found = decode_endpoints(b' \t\r\n[ {} ,\n\t{ "dnsName" : "a" } ] \n')
    assert [endpoint.document for endpoint in found] == [b"{}", b'{ "dnsName" : "a" }']


def test_a_document_is_a_copy_that_keeps_no_body_alive() -> None:
    body = bytearray(body_of([FOO, b'{"x":1}']))
    changes = wire.decode_changes(b'{"create":' + bytes(body) + b"}")
    documents = [endpoint.document for endpoint in decode_endpoints(bytes(body)) + list(changes.create)]
    assert documents == [FOO, b'{"x":1}'] * 2
    assert all(type(document) is bytes for document in documents)


@given(st.lists(good_documents(), max_size=4), st.sampled_from([b"", b" ", b"\r\n\t"]))
@settings(max_examples=100, deadline=None)
def test_what_was_decoded_is_given_back_byte_for_byte(documents: list[bytes], space: bytes) -> None:
    body = body_of(documents, space)
    endpoints = decode_endpoints(body)
    assert [endpoint.document for endpoint in endpoints] == documents
    encoded = encoded_again(endpoints)
    assert encoded == body_of(documents)
    assert decode_endpoints(encoded) == endpoints
    assert [wire.decode_endpoint(document) for document in documents] == endpoints
    assert wire.decode_changes(b'{"create":' + body + b"}").create == tuple(endpoints)


NESTED = [
    b'{"dnsName":"a","x":[{"dnsName":"b"},{"dnsName":"c"}]}',
    b'{"dnsName":"a","x":"},{\\"dnsName\\":"}',
    b'{"dnsName":"a","x":{"y":[{} , \n{ "dnsName":1}]},"z":"\\\\"}',
    b'{"dnsName":"a","x":[[{"dnsName":"b"},{"dnsName":"c"}]],"recordTTL":"1"}',
    b'{"dnsName":"a","labels":{"a":"},{","b":"dnsName"}}',
    b'{"x":"},{","dnsName":"a"}',
]
"""Endpoints in which there seems to be the end of one, or nearly."""


@given(
    st.lists(st.one_of(good_documents(), st.sampled_from([FOO, b'{"dnsName":"a"}', *NESTED])), max_size=8),
    st.sampled_from([b"", b" ", b"\r\n\t", b"\x0b"]),
    st.integers(10, 120),
    st.data(),
)
@settings(max_examples=400, deadline=None)
def test_a_list_that_is_cut_to_pieces_is_read_as_the_whole_is(
    documents: list[bytes], space: bytes, piece: int, data: st.DataObject
) -> None:
    body = body_of(documents, space)
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(body)))
        body = (
            body[:at]
            + data.draw(st.sampled_from([b"", b"\xff", b'"', b"{", b"]", b"},{", b"1,"]))
            + body[at + 1 :]
        )
    whole = refusal(decode_endpoints, body)
    with mock.patch.object(wire, "_PIECE", piece):
        assert (refusal(decode_endpoints, body) is None) == (whole is None)
        assert (refusal(wire.decode_changes, b'{"create":' + body + b"}") is None) == (whole is None)
        if whole is None:
            pieces = decode_endpoints(body)
    if whole is None:
        assert pieces == decode_endpoints(body)


@pytest.mark.parametrize("space", [b"", b" ", b"\n  "])
def test_a_long_list_is_read_in_pieces(space: bytes) -> None:
    documents = [FOO.replace(b"Foo", b"%d" % number) for number in range(5000)] + NESTED[:3]
    body = body_of(documents, space)
    found = [some for some in wire._splitting(body, "The body", Allowance.of(body)) if some]
    assert all(sum(map(len, some)) < 150_000 for some in found)
    assert [bytes(document) for some in found for document in some] == documents
    assert len(found) < len(documents) / 100


def test_what_is_no_json_in_a_long_list_is_said_with_its_place_in_the_whole() -> None:
    body = body_of([FOO] * 5000)
    for bad in (b"\x01", b'"'):
        for at in (10, len(body) // 2, len(body) - 10):
            with pytest.raises(
                WireError, match=r"^The body is not a JSON array of endpoints: .* \(byte (\d+)\)"
            ) as said:
                decode_endpoints(body[:at] + bad + body[at:])
            found = re.search(r"byte (\d+)", str(said.value))
            assert found is not None
            assert abs(int(found[1]) - at) < 200
    with pytest.raises(WireError, match=r"external-dns could read back: Expected `object`, got `null`\.$"):
        decode_endpoints(body_of([FOO, FOO, b"null"] * 5000))


def test_a_long_body_that_is_not_unicode_is_refused_with_the_place() -> None:
    start = b'{"x":"' + "\u00fc\U0001f600".encode() * 50_000
    assert wire.decode_changes(start + b'"}') == Changes()
    with pytest.raises(WireError, match=rf"^The body is not UTF-8: invalid start byte at byte {len(start)}\.$"):
        wire.decode_changes(start + b'\xff"}')
    with pytest.raises(WireError, match=r"^The body is not UTF-8: unexpected end of data at byte \d+\.$"):
        wire.decode_changes(start[:-1])


@given(any_endpoints())
@example({"dnsName": "a", "recordTTL": 300.0})
@example({"providerSpecific": [{"NAME": "a"}]})
@settings(max_examples=400, deadline=None)
def test_an_endpoint_is_accepted_exactly_when_go_reads_the_same_from_it(fields: dict[str, Any]) -> None:
    document = json.dumps(fields).encode()
    if go_reads(fields, ENDPOINT_FIELDS):
        endpoint = wire.decode_endpoint(document)
        name = (fields.get("dnsName") or "").lower().removesuffix(".")
        assert endpoint.key == (name, fields.get("recordType") or "", fields.get("setIdentifier") or "")
        assert endpoint.targets == (() if endpoint.is_note else tuple(fields.get("targets") or ()))
        assert endpoint.ttl == (fields.get("recordTTL") or 0)
        labels = fields.get("labels") or {}
        assert endpoint.resource == labels.get("resource", "")
        assert endpoint.owned == labels.get("ownedRecord")
        assert endpoint.document == document
    else:
        with pytest.raises(WireError):
            wire.decode_endpoint(document)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_json_or_refused_in_one_printable_sentence(data: st.DataObject) -> None:
    body = data.draw(st.one_of(st.binary(max_size=60), st.lists(good_documents(), max_size=2).map(body_of)))
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(0, len(body)))
        body = body[:at] + data.draw(st.binary(max_size=2)) + body[at + data.draw(st.integers(0, 2)) :]
    for decode in (wire.decode_endpoint, decode_endpoints, wire.decode_changes):
        message = refusal(decode, body)
        if message is None:
            json.loads(body.decode("utf-8"))
        else:
            assert message.isprintable()
            assert message.endswith(".")


LISTS = {"create": b"c", "updateOld": b"o", "updateNew": b"n", "delete": b"d"}


def named(name: bytes) -> bytes:
    return b'{"dnsName":"' + name + b'"}'


@pytest.mark.parametrize("respell", [str, lambda key: key[0].upper() + key[1:], str.upper, str.lower])
def test_changes_are_read_in_every_spelling_that_go_reads(respell: Callable[[str], str]) -> None:
    lists = [b'"%s" : [ %s ]' % (respell(key).encode(), named(name)) for key, name in LISTS.items()]
    changes = wire.decode_changes(b'{"x":[null],' + b",".join(lists) + b"}\n")
    found = [changes.create, changes.update_old, changes.update_new, changes.delete]
    assert [[endpoint.document for endpoint in part] for part in found] == [
        [named(name)] for name in LISTS.values()
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b" {} \n",
        b'{"create":[]}',
        b'{"create":null,"updateOld":null,"updateNew":null,"delete":null}',
        b'{"Create":null,"UpdateOld":null,"UpdateNew":null,"Delete":null}\n',
        b'{"creates":[null],"update_old":5,"":{}}',
    ],
)
def test_lists_that_are_missing_null_or_unknown_are_empty(body: bytes) -> None:
    assert wire.decode_changes(body) == Changes()


def test_of_a_list_in_two_spellings_the_last_one_counts_as_in_go() -> None:
    first, last = named(b"a"), named(b"b")
    changes = wire.decode_changes(b'{"create":[' + first + b'],"Create":[' + last + b"]}")
    assert [endpoint.document for endpoint in changes.create] == [last]
    assert not wire.decode_changes(b'{"create":[' + first + b'],"Create":null}')


@pytest.mark.parametrize(
    "body", [b"null", b"[]", b"1", b'"create"', b"", b"\xef\xbb\xbf{}", b"{}x", b"{} {}", b"{]"]
)
def test_changes_must_be_one_object(body: bytes) -> None:
    with pytest.raises(WireError, match="The body is not a JSON object of changes"):
        wire.decode_changes(body)


@pytest.mark.parametrize("value", [b"{}", b"1", b'"a"', b"false"])
def test_a_list_of_changes_that_is_no_array_is_refused_by_its_name(value: bytes) -> None:
    with pytest.raises(WireError, match=r"^'updateOld' is not a JSON array of endpoints"):
        wire.decode_changes(b'{"create":[],"UpdateOld":' + value + b"}")


@pytest.mark.parametrize("key", list(LISTS))
def test_one_unreadable_endpoint_refuses_the_whole_of_the_changes(key: str) -> None:
    with pytest.raises(WireError):
        wire.decode_changes(b'{"create":[' + FOO + b'],"' + key.encode() + b'":[{"recordTTL":"300"}]}')


def test_a_body_of_more_endpoints_than_can_be_kept_is_refused() -> None:
    most = MOST_ENDPOINTS
    element = b'{"dnsName":"' + b" " * 40 + b'"}'
    half = b"[" + b",".join([element] * (most // 2)) + b"]"
    over = half[:-1] + b",{}]"
    both = b'{"updateOld":' + half + b',"updateNew":%s}'
    assert len(wire.decode_changes(both % half).update_new) == most // 2
    with pytest.raises(TooManyError, match=r"^The body holds more than 400000 endpoints, .*\.$"):
        wire.decode_changes(both % over)


def test_millions_of_empty_objects_are_refused() -> None:
    with pytest.raises(TooManyError, match=r"more than 12 times its size in memory, .*\.$"):
        decode_endpoints(b"[" + b",".join([b"{}"] * 399_999) + b"]")


def test_small_endpoints_that_hold_nearly_nothing_but_short_texts_are_refused() -> None:
    texts = b",".join(b'"%x"' % number for number in range(100))
    element = b'{"dnsName":"a","targets":[' + texts + b"]}"
    assert decode_endpoints(b"[" + element + b"]")[0].targets[99] == "63"
    with pytest.raises(TooManyError, match="so many short texts"):
        decode_endpoints(b"[" + b",".join([element] * 10_000) + b"]")


def test_labels_are_not_kept_and_small_endpoints_may_hold_very_many_of_them() -> None:
    labels = b",".join(b'"%x":"a"' % number for number in range(100)) + b',"resource":"b"'
    element = b'{"dnsName":"a","labels":{' + labels + b"}}"
    assert decode_endpoints(b"[" + b",".join([element] * 10_000) + b"]")[-1].resource == "b"


def test_large_endpoints_that_hold_nearly_nothing_but_labels_are_refused() -> None:
    labels = b",".join(b'"%x":"a"' % number for number in range(5000))
    element = b'{"labels":{' + labels + b"}}"
    assert len(element) < LARGE_ENDPOINT
    with pytest.raises(TooManyError, match="so many short texts"):
        decode_endpoints(b"[" + b",".join([element] * 100) + b"]")


def test_a_large_endpoint_is_refused_before_its_short_texts_fill_the_memory() -> None:
    few, many = (b'[{"targets":[' + b",".join([b'"a"'] * number) + b"]}]" for number in (100_000, 1_000_000))
    assert len(decode_endpoints(few)[0].targets) == 100_000
    with pytest.raises(TooManyError, match="so many short texts"):
        decode_endpoints(many)


@pytest.mark.parametrize("text", [b'\\"', b"\\\\", b"{", b",", b"\\u003c", "\U0001f600".encode(), b'\\"},{\\"'])
def test_one_large_text_is_accepted_whatever_it_holds(text: bytes) -> None:
    document = b'{"dnsName":"a","targets":["' + text * (1_500_000 // len(text)) + b'"],"recordType":"TXT"}'
    assert decode_endpoints(b"[" + FOO + b"," + document + b"]")[1].document == document
    assert wire.decode_changes(b'{"create":[' + document + b"]}").create[0].document == document


def test_a_large_endpoint_with_unknown_fields_is_refused_when_it_holds_very_many_objects() -> None:
    few, many = (b'{"providerSpecific":[' + b",".join([b'{"x":1}'] * number) + b"]}" for number in (5, 10_000))
    assert decode_endpoints(b"[" + few + b"]")[0].document == few
    with pytest.raises(TooManyError, match=r"holds too many objects\.$"):
        decode_endpoints(b"[" + many + b"]")
    text = b'{"targets":["' + b"a" * 100_000 + b'"],"x":1}'
    assert decode_endpoints(b"[" + text + b"]")[0].document == text


def test_the_domain_filter_is_the_list_that_the_client_reads() -> None:
    assert wire.encode_filter(["dtk.io", "xn--bcher-kva.io"]) == b'{"include":["dtk.io","xn--bcher-kva.io"]}'
    assert wire.encode_filter(()) == b'{"include":[]}'


@pytest.mark.parametrize("number", [1, STRIDE - 1, STRIDE, STRIDE + 1, 2 * STRIDE])
def test_no_endpoint_is_lost_between_two_steps(number: int) -> None:
    documents = [named(b"%d" % count) for count in range(number)]
    body = body_of(documents)
    assert [endpoint.document for endpoint in decode_endpoints(body)] == documents
    assert at_once(wire.encoding_endpoints(documents)) == body


def test_no_endpoints_are_an_empty_array_and_not_null() -> None:
    assert encoded_again([]) == b"[]"


def test_the_media_type_has_no_parameter_but_the_version() -> None:
    assert wire.MEDIA_TYPE == b"application/external.dns.webhook+json;version=1"
