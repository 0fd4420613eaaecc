"""JSON bytes to endpoints and back, as external-dns' webhook protocol has them.

The source is external-dns' `provider/webhook/api/httpapi.go` and `endpoint/endpoint.go`. An endpoint is given
back in the very bytes it came in, so each is checked to be one that Go's `encoding/json` can read again: a
single unreadable element in `GET /records` would end every external-dns at every start.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Annotated

import msgspec

from dtkdns.allowance import (
    LABEL,
    LARGE_ENDPOINT,
    TARGET,
    TOO_DENSE,
    Allowance,
    TooManyError,
    require_modest,
    require_room,
)
from dtkdns.endpoint import Changes, Endpoint, make_endpoint
from dtkdns.slices import STRIDE, Steps, at_once

MEDIA_TYPE = b"application/external.dns.webhook+json;version=1"
"""The one media type of the protocol; the client compares it to the letter."""


class WireError(ValueError):
    """A body is not what the protocol has there; the message is a sentence for the sender."""


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

_JSON_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode_endpoint(document: bytes) -> Endpoint:
    """One endpoint from its JSON object.

    Raises `WireError` when it is malformed, or when Go could not read it back.
    """
    try:
        fields = _endpoint.decode(document)
    except _JSON_FAULTS as error:
        fields = _decode_any(document, error)
    return make_endpoint(
        fields.dnsName,
        fields.recordType,
        fields.setIdentifier,
        fields.targets,
        fields.recordTTL,
        fields.labels,
        document,
    )


def decode_endpoints(body: bytes) -> list[Endpoint]:
    """The endpoints of a JSON array; `null` is an empty one.

    Raises `WireError` and `TooManyError`.
    """
    return at_once(decoding_endpoints(body))


def decoding_endpoints(body: bytes) -> Steps[list[Endpoint]]:
    """`decode_endpoints` in steps."""
    return _decoding_list(body, "The body", Allowance.of(body))


def decode_changes(body: bytes) -> Changes:
    """The changes of a `POST /records`, in today's spelling (`updateOld`) or that of v0.16 (`UpdateOld`).

    Raises `WireError` and `TooManyError`.
    """
    return at_once(decoding_changes(body))


def decoding_changes(body: bytes) -> Steps[Changes]:
    """`decode_changes` in steps."""
    _require_utf8(body)
    yield
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


def encode_endpoints(endpoints: Iterable[Endpoint]) -> bytes:
    """A JSON array of the endpoints, each in the bytes it arrived as."""
    return b"[" + b",".join([endpoint.document for endpoint in endpoints]) + b"]"


def encode_filter(domains: Iterable[str]) -> bytes:
    """The domain filter that external-dns asks for at its start (its `endpoint/domain_filter.go`)."""
    return msgspec.json.encode({"include": list(domains)})


def _decoding_list(body: bytes | msgspec.Raw, what: str, allowance: Allowance) -> Steps[list[Endpoint]]:
    """The endpoints of a JSON array, each with a copy of its bytes, so that it does not keep the body alive.

    They are counted first: of millions of elements even the list of their places would be too large.
    """
    try:
        allowance.take_endpoints(len(_elements.decode(body) or ()))
        yield
        raw = _raw_list.decode(body) or []
        yield
        documents = list(map(bytes, raw))
        del raw  # as large as the list of what was copied from it
    except _JSON_FAULTS as error:
        raise WireError(f"{what} is not a JSON array of endpoints: {error}.") from error
    endpoints: list[Endpoint] = []
    left, decode = allowance.memory, _endpoint.decode
    for number, document in enumerate(documents, 1):  # this is `decode_endpoint`, without the time of its call
        if not number % STRIDE:
            yield
        if len(document) > LARGE_ENDPOINT:
            require_room(document, left)
        try:
            fields = decode(document)
        except _JSON_FAULTS as error:
            if len(document) > LARGE_ENDPOINT:
                require_modest(document)
            fields = _decode_any(document, error)
        targets, labels = fields.targets, fields.labels
        left -= TARGET * len(targets) + LABEL * len(labels)
        if left < 0:
            raise TooManyError(TOO_DENSE)
        endpoints.append(
            make_endpoint(
                fields.dnsName,
                fields.recordType,
                fields.setIdentifier,
                targets,
                fields.recordTTL,
                labels,
                document,
            )
        )
    allowance.memory = left
    return endpoints


def _require_utf8(body: bytes) -> None:
    """Raise `WireError` unless the body is UTF-8: a decoder does not look at the text that it skips."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"The body is not UTF-8: {error}.") from error


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
