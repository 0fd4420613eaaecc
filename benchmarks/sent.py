"""What external-dns sends for Ingresses, in the shape and the order in which it sends it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeAlias

Record: TypeAlias = dict[str, Any]

TARGET = "10.32.0.45"
"""The address of the cluster's load balancer."""


def name_of(number: int) -> str:
    return f"app-{number:06}.dtk.io"


def desired(numbers: Iterable[int], target: str = TARGET) -> bytes:
    """The body of a `POST /adjustendpoints`: an A record for each, as the source has it."""
    return _encoded([_address(number, target, {}) for number in numbers])


def created(numbers: Iterable[int], target: str = TARGET) -> bytes:
    """The body of a `POST /records` that creates an A record for each, and behind them their ownership TXTs."""
    return _encoded({"create": _owned(list(numbers), target)})


def updated(numbers: Iterable[int], old: str, new: str) -> bytes:
    """The body of a `POST /records` that gives them another target."""
    every = list(numbers)
    return _encoded({"updateOld": _owned(every, old), "updateNew": _owned(every, new)})


def _owned(numbers: list[int], target: str) -> list[Record]:
    owner = {"owner": "default"}
    addresses = [_address(number, target, owner) for number in numbers]
    return [*addresses, *(_ownership(number) for number in numbers)]


def _address(number: int, target: str, labels: dict[str, str]) -> Record:
    labels = {**labels, "resource": _resource(number)}
    return {"dnsName": name_of(number), "targets": [target], "recordType": "A", "labels": labels}


def _ownership(number: int) -> Record:
    name = name_of(number)
    heritage = f'"heritage=external-dns,external-dns/owner=default,external-dns/resource={_resource(number)}"'
    labels = {"ownedRecord": name}
    return {"dnsName": f"a-{name}", "targets": [heritage], "recordType": "TXT", "labels": labels}


def _resource(number: int) -> str:
    return f"ingress/default/app-{number:06}"


def _encoded(value: object) -> bytes:
    """As Go encodes it: no white space, and a newline behind it."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
