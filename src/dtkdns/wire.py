"""JSON bytes to endpoints and back, as external-dns' webhook protocol has them.

The source is external-dns' `provider/webhook/api/httpapi.go` and `endpoint/endpoint.go`. An endpoint is given
back in the very bytes it came in, so each is checked to be one that Go's `encoding/json` can read again: a
single unreadable element in `GET /records` would end every external-dns at every start.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any

import msgspec

from dtkdns.endpoint import Changes, Endpoint, make_endpoint

MEDIA_TYPE = b"application/external.dns.webhook+json;version=1"
"""The one media type of the protocol; the client compares it to the letter."""


class WireError(ValueError):
    """A body is not what the protocol has there; the message is a sentence for the sender."""


class _ProviderSpecific(msgspec.Struct, forbid_unknown_fields=True):
    name: str | None = None
    value: str | None = None


_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class _Endpoint(msgspec.Struct, forbid_unknown_fields=True):
    """Go leaves a field at its zero value when it is missing or null."""

    dnsName: str | None = None  # noqa: N815 (the protocol's own spelling)
    targets: list[str] | None = None
    recordType: str | None = None  # noqa: N815
    setIdentifier: str | None = None  # noqa: N815
    recordTTL: _Int64 | None = None  # noqa: N815
    labels: dict[str, str] | None = None
    providerSpecific: list[_ProviderSpecific] | None = None  # noqa: N815


_raw_list = msgspec.json.Decoder(list[msgspec.Raw] | None)
_raw_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_any_object = msgspec.json.Decoder(dict[str, Any])
_endpoint = msgspec.json.Decoder(_Endpoint)

_JSON_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_NO_LABELS: dict[str, str] = {}


def decode_endpoint(document: bytes) -> Endpoint:
    """One endpoint from its JSON object.

    Raises `WireError` when it is malformed, or when Go could not read it back.
    """
    try:
        fields = _endpoint.decode(document)
    except msgspec.ValidationError:
        fields = _decode_with_unknown_fields(document)
    except _JSON_FAULTS as error:
        raise WireError(f"An endpoint is not valid JSON: {error}.") from error
    return make_endpoint(
        fields.dnsName or "",
        fields.recordType or "",
        fields.setIdentifier or "",
        tuple(fields.targets) if fields.targets else (),
        fields.recordTTL or 0,
        fields.labels or _NO_LABELS,
        document,
    )


def decode_endpoints(body: bytes) -> list[Endpoint]:
    """The endpoints of a JSON array; `null` is an empty one.

    Raises `WireError`.
    """
    return [decode_endpoint(document) for document in _split(body, "The body")]


def decode_changes(body: bytes) -> Changes:
    """The changes of a `POST /records`, in today's spelling (`updateOld`) or that of v0.16 (`UpdateOld`).

    Raises `WireError`.
    """
    _require_utf8(body)
    try:
        lists = _raw_object.decode(body)
    except _JSON_FAULTS as error:
        raise WireError(f"The body is not a JSON object of changes: {error}.") from error
    found: dict[str, tuple[Endpoint, ...]] = {}
    for key, value in lists.items():
        field = _CHANGES.get(key.casefold())
        if field is not None:
            found[field] = tuple(decode_endpoint(document) for document in _split(value, repr(key)))
    return Changes(**found)


_CHANGES = {"create": "create", "updateold": "update_old", "updatenew": "update_new", "delete": "delete"}


def encode_endpoints(endpoints: Iterable[Endpoint]) -> bytes:
    """A JSON array of the endpoints, each in the bytes it arrived as."""
    return b"[" + b",".join([endpoint.document for endpoint in endpoints]) + b"]"


def encode_filter(domains: Iterable[str]) -> bytes:
    """The domain filter that external-dns asks for at its start (its `endpoint/domain_filter.go`)."""
    return msgspec.json.encode({"include": list(domains)})


def _split(body: bytes | msgspec.Raw, what: str) -> list[bytes]:
    """The elements of a JSON array, each copied out of the body so that it does not keep the body alive."""
    try:
        elements = _raw_list.decode(body)
    except _JSON_FAULTS as error:
        raise WireError(f"{what} is not a JSON array of endpoints: {error}.") from error
    return [bytes(element) for element in elements or ()]


def _require_utf8(body: bytes) -> None:
    """Raise `WireError` unless the body is UTF-8: a decoder does not look at the text that it skips."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise WireError(f"The body is not UTF-8: {error}.") from error


def _decode_with_unknown_fields(document: bytes) -> _Endpoint:
    """The slow look at an endpoint that holds more than the fields known here, or a fault.

    Go matches the keys of JSON objects by Unicode case folding, so an unknown key that folds to a known one
    would be read there as that field.
    """
    try:
        fields = _any_object.decode(document)
        json.loads(document, object_pairs_hook=_each_key_once)
        known = _only_known(fields, _Endpoint)
        properties = known.get("providerSpecific")
        if isinstance(properties, list):
            known["providerSpecific"] = [
                _only_known(item, _ProviderSpecific) if isinstance(item, dict) else item for item in properties
            ]
        return msgspec.convert(known, _Endpoint)
    except _JSON_FAULTS as error:
        raise WireError(f"An endpoint is not one that external-dns could read back: {error}.") from error


def _each_key_once(pairs: list[tuple[str, Any]]) -> None:
    """Raise `WireError` for a doubled key: only the last value would be looked at here, but Go reads all."""
    if len(dict(pairs)) != len(pairs):
        raise WireError("An endpoint has an object with one key twice.")


def _only_known(fields: dict[str, Any], struct: type[msgspec.Struct]) -> dict[str, Any]:
    known = struct.__struct_fields__
    folded = {name.casefold() for name in known}
    for key in fields:
        if key not in known and key.casefold() in folded:
            raise WireError(f"An endpoint has the key {key!a}, which Go reads as another spelling.")
    return {key: value for key, value in fields.items() if key in known}
