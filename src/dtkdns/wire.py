"""JSON bytes to endpoints and back, as external-dns' webhook protocol has them.

The source is external-dns' `provider/webhook/api/httpapi.go` and `endpoint/endpoint.go`. An endpoint is given
back in the very bytes it came in, so each is checked to be one that Go's `encoding/json` can read again: a
single unreadable element in `GET /records` would end every external-dns at every start.
"""

from __future__ import annotations

import re
from codecs import utf_8_decode
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from io import BytesIO
from itertools import islice
from typing import Annotated, TypeAlias

import msgspec
from attrs import frozen

from dtkdns.allowance import (
    LABEL,
    LARGE_ENDPOINT,
    TARGET,
    Allowance,
    require_modest,
    require_room,
)
from dtkdns.endpoint import Changes, Endpoint, Key, make_endpoint
from dtkdns.names import normalise
from dtkdns.slices import STRIDE, Steps, at_once

MEDIA_TYPE = b"application/external.dns.webhook+json;version=1"
"""The one media type of the protocol; the client compares it to the letter."""


Document: TypeAlias = bytes | msgspec.Raw
"""The JSON object of one endpoint; a Raw is a place in what was decoded, and keeps that alive."""


class WireError(ValueError):
    """A body is not what the protocol has there; the message is a sentence for the sender."""


@frozen
class Desired:
    """The endpoints of a `POST /adjustendpoints`: what it takes to leave some of them out."""

    keys: list[Key]
    documents: list[msgspec.Raw]
    """Of the same length: each endpoint in its very bytes."""


class _ProviderSpecific(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    name: str | None = None
    value: str | None = None


_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Endpoint(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """What external-dns sends: it leaves out what is empty."""

    dnsName: str = ""  # noqa: N815 (the protocol's own spelling)
    targets: tuple[str, ...] = ()
    recordType: str = ""  # noqa: N815
    setIdentifier: str = ""  # noqa: N815
    recordTTL: _Int64 = 0  # noqa: N815
    labels: dict[str, str] = {}
    providerSpecific: frozenset[_ProviderSpecific] = frozenset()  # noqa: N815
    """As a set, which of millions of empty ones keeps one."""


class _AnyProviderSpecific(_ProviderSpecific, forbid_unknown_fields=False, frozen=True, gc=False):
    """One with fields that are unknown here, which are skipped."""


class _AnyEndpoint(msgspec.Struct, gc=False):
    """All that Go can read: a field that is null has its zero value, an unknown one is skipped."""

    dnsName: str | None = None  # noqa: N815
    targets: tuple[str, ...] | None = None
    recordType: str | None = None  # noqa: N815
    setIdentifier: str | None = None  # noqa: N815
    recordTTL: _Int64 | None = None  # noqa: N815
    labels: dict[str, str] | None = None
    providerSpecific: frozenset[_AnyProviderSpecific] | None = None  # noqa: N815


class _Spelled(Enum):
    """The keys of an object as Go knows them; every other key is one, lest millions fill the memory.

    A key that only Go takes for a known one is refused.
    """

    @classmethod
    def _missing_(cls, value: object) -> _Spelled | None:
        return None if str(value).casefold() in _FOLDED[cls] else cls("")


class _EndpointKey(_Spelled):
    DNS_NAME = "dnsName"
    TARGETS = "targets"
    RECORD_TYPE = "recordType"
    SET_IDENTIFIER = "setIdentifier"
    RECORD_TTL = "recordTTL"
    LABELS = "labels"
    PROVIDER_SPECIFIC = "providerSpecific"
    OTHER = ""


class _ProviderSpecificKey(_Spelled):
    NAME = "name"
    VALUE = "value"
    OTHER = ""


_FOLDED: dict[type[_Spelled], set[str]] = {
    keys: {member.value.casefold() for member in keys} for keys in (_EndpointKey, _ProviderSpecificKey)
}


class _ProviderSpecificKeys(msgspec.Struct, gc=False):
    """The properties of an endpoint by their keys."""

    providerSpecific: list[dict[_ProviderSpecificKey, msgspec.Raw]] | None = None  # noqa: N815


class _Element(msgspec.Struct, gc=False):
    """Any object, for counting: nothing is kept of it."""


class _List(Enum):
    """The lists of `Changes` by their keys in JSON; every other key is one, lest millions fill the memory."""

    CREATE = "create"
    UPDATE_OLD = "updateOld"
    UPDATE_NEW = "updateNew"
    DELETE = "delete"
    OTHER = ""

    @classmethod
    def _missing_(cls, value: object) -> _List:
        return _LISTS.get(str(value).casefold(), cls.OTHER)


_LISTS = {member.value.casefold(): member for member in _List}

_elements = msgspec.json.Decoder(list[_Element] | None)
_raw_list = msgspec.json.Decoder(list[msgspec.Raw] | None)
_lists = msgspec.json.Decoder(dict[_List, msgspec.Raw])
_endpoint = msgspec.json.Decoder(_Endpoint)
_any_endpoint = msgspec.json.Decoder(_AnyEndpoint)
_endpoint_keys = msgspec.json.Decoder(dict[_EndpointKey, msgspec.Raw])
_provider_specific_keys = msgspec.json.Decoder(_ProviderSpecificKeys)

_PIECE = 32 * 1024
"""Bytes of a list from which on it is cut between two endpoints."""
_BETWEEN = re.compile(rb'\}[ \t\r\n]*,[ \t\r\n]*(?=\{[ \t\r\n]*"dnsName")')
"""What is between two endpoints as external-dns sends them."""

_JSON_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_endpoint(document: bytes) -> Endpoint:
    """One endpoint from its JSON object.

    Raises `WireError` when it is malformed, or when Go could not read it back.
    """
    return decode_documents([document])[0]


def decode_documents(documents: Sequence[bytes]) -> list[Endpoint]:
    """`decode_endpoint` of several."""
    try:
        fields = list(map(_endpoint.decode, documents))
    except _JSON_FAULTS:
        fields = list(map(_decode_one, documents))
    return _made(fields, documents)


def decode_endpoints(body: bytes) -> list[Endpoint]:
    """The endpoints of a JSON array; `null` is an empty one.

    Raises `WireError` and `TooManyError`.
    """
    return at_once(decoding_endpoints(body))


def decoding_endpoints(body: bytes) -> Steps[list[Endpoint]]:
    """`decode_endpoints` in steps."""
    return _decoding_list(body, "The body", Allowance.of(body))


def decoding_desired(body: bytes) -> Steps[Desired]:
    """Of the endpoints of a JSON array the keys alone, in steps: each is looked at as `decode_endpoints` does.

    Raises `WireError` and `TooManyError`.
    """
    allowance = Allowance.of(body)
    keys: list[Key] = []
    documents: list[msgspec.Raw] = []
    for some in _splitting(body, "The body", allowance):
        yield
        documents += some
        keys += [
            (normalise(fields.dnsName), fields.recordType, fields.setIdentifier)
            for fields in _read(some, allowance)
        ]
    return Desired(keys, documents)


def decode_changes(body: bytes) -> Changes:
    """The changes of a `POST /records`, in today's spelling (`updateOld`) or that of v0.16 (`UpdateOld`).

    Raises `WireError` and `TooManyError`.
    """
    return at_once(decoding_changes(body))


def decoding_changes(body: bytes) -> Steps[Changes]:
    """`decode_changes` in steps."""
    if not body.isascii():
        yield from _requiring_utf8(body)
    try:
        lists = _lists.decode(body)
    except _JSON_FAULTS as error:
        raise WireError(f"The body is not a JSON object of changes: {error}.") from error
    yield
    lists.pop(_List.OTHER, None)
    allowance = Allowance.of(body)
    found: dict[str, tuple[Endpoint, ...]] = {}
    for key, value in lists.items():
        found[key.name.lower()] = tuple((yield from _decoding_list(value, repr(key.value), allowance)))
    return Changes(**found)


def encoding_endpoints(documents: Iterable[Document]) -> Steps[bytes]:
    """A JSON array of endpoints, each in the bytes it arrived as; in steps."""
    array, rest = BytesIO(), iter(documents)
    before = b"["
    while some := list(islice(rest, STRIDE)):
        array.write(before + b",".join(some))
        before = b","
        yield
    array.write(b"]" if array.tell() else b"[]")
    return array.getvalue()


def encode_filter(domains: Iterable[str]) -> bytes:
    """The domain filter that external-dns asks for at its start (its `endpoint/domain_filter.go`)."""
    return msgspec.json.encode({"include": list(domains)})


def _decoding_list(body: bytes | msgspec.Raw, what: str, allowance: Allowance) -> Steps[list[Endpoint]]:
    """The endpoints of a JSON array, each with a copy of its bytes, so that it does not keep the body alive."""
    endpoints: list[Endpoint] = []
    for raws in _splitting(body, what, allowance):
        yield
        documents = list(map(bytes, raws))
        endpoints += _made(_read(documents, allowance), documents)
    return endpoints


def _made(read: Iterable[_Endpoint], documents: Iterable[bytes]) -> list[Endpoint]:
    return [
        make_endpoint(
            fields.dnsName,
            fields.recordType,
            fields.setIdentifier,
            fields.targets,
            fields.recordTTL,
            fields.labels,
            document,
        )
        for fields, document in zip(read, documents, strict=True)
    ]


def _splitting(body: bytes | msgspec.Raw, what: str, allowance: Allowance) -> Iterator[list[msgspec.Raw]]:
    """The elements of a JSON array of objects, some at a time; at times none, where a step was long.

    A piece that looks as if it ended between two elements does so exactly if it is an array in itself: whoever
    reads the whole from the left has then read the same elements, and is between two of them.
    """
    view, start, opening, given = memoryview(body), 0, b"", 0
    while between := _BETWEEN.search(body, start + _PIECE, start + 2 * _PIECE):
        try:
            documents = _raw_list.decode(b"".join((opening, view[start : between.start() + 1], b"]"))) or []
        except _JSON_FAULTS:
            break
        allowance.take_endpoints(len(documents))
        given += len(documents)
        yield documents
        start, opening = between.end(), b"["
    rest: bytes | msgspec.Raw = body
    if given and len(view) - start <= 2 * _PIECE:  # of a long rest a copy would take too much
        rest, given = b"".join((opening, view[start:])), 0
    try:
        allowance.take_endpoints(_counted(rest, body) - given)
        yield []
        documents = (_raw_list.decode(rest) or [])[given:]
    except _JSON_FAULTS as error:
        raise WireError(f"{what} is not a JSON array of endpoints: {error}.") from error
    for first in range(0, len(documents), STRIDE):
        yield documents[first : first + STRIDE]


def _counted(rest: bytes | msgspec.Raw, body: bytes | msgspec.Raw) -> int:
    """How many elements an array has: of millions even the list of their places would be too large.

    Raises `_JSON_FAULTS`, which say where in the body.
    """
    try:
        return len(_elements.decode(rest) or ())
    except _JSON_FAULTS:
        return len(_elements.decode(body) or ())


def _read(documents: Sequence[Document], allowance: Allowance) -> list[_Endpoint]:
    """The fields of some endpoints; each is looked at as `decode_endpoint` does, without the time of its call.

    Raises `WireError` and `TooManyError`.
    """
    if sum(map(len, documents)) > 2 * _PIECE:
        return _read_one_by_one(documents, allowance)
    try:
        found = list(map(_endpoint.decode, documents))
    except _JSON_FAULTS:
        return _read_one_by_one(documents, allowance)
    allowance.take(TARGET * sum([len(fields.targets) for fields in found]))
    return found


def _read_one_by_one(documents: Sequence[Document], allowance: Allowance) -> list[_Endpoint]:
    """`_read` of what may be large, or more than external-dns sends today."""
    found: list[_Endpoint] = []
    labels = 0
    for document in documents:
        if len(document) > LARGE_ENDPOINT:
            require_room(bytes(document), allowance.memory - labels)
        try:
            fields = _endpoint.decode(document)
        except _JSON_FAULTS as error:
            if len(document) > LARGE_ENDPOINT:
                require_modest(bytes(document))
            fields = _decode_any(bytes(document), error)
        labels += LABEL * len(fields.labels)
        allowance.take(TARGET * len(fields.targets), labels)
        found.append(fields)
    return found


def _requiring_utf8(body: bytes) -> Steps[None]:
    """Raise `WireError` unless the body is UTF-8, in steps: a decoder does not look at the text that it skips."""
    start = 0
    while start < len(body):
        end = start + _PIECE
        try:
            start += utf_8_decode(body[start:end], "strict", end >= len(body))[1]
        except UnicodeDecodeError as error:
            raise WireError(f"The body is not UTF-8: {error.reason} at byte {start + error.start}.") from error
        yield


def _decode_one(document: bytes) -> _Endpoint:
    try:
        return _endpoint.decode(document)
    except _JSON_FAULTS as error:
        return _decode_any(document, error)


def _decode_any(document: bytes, fault: Exception) -> _Endpoint:
    """The slow look at an endpoint that holds more than external-dns sends today, or a fault.

    Go matches the keys of JSON objects by Unicode case folding, so an unknown key that folds to a known one
    would be read there as that field. `fault` is why the fast look refused it.

    Raises `WireError`.
    """
    if not isinstance(fault, msgspec.ValidationError):
        raise WireError(f"An endpoint is not valid JSON: {fault}.") from fault
    try:
        document.decode("utf-8")  # a decoder does not look at the text that it skips
        fields = _any_endpoint.decode(document)
    except _JSON_FAULTS as error:
        raise WireError(f"An endpoint is not one that external-dns could read back: {error}.") from error
    try:
        _endpoint_keys.decode(document)
        _provider_specific_keys.decode(document)
    except msgspec.ValidationError as error:
        raise WireError(f"An endpoint has a key which Go reads as another spelling: {str(error)!a}.") from error
    return _Endpoint(
        fields.dnsName or "",
        fields.targets or (),
        fields.recordType or "",
        fields.setIdentifier or "",
        fields.recordTTL or 0,
        fields.labels or {},
    )
