"""What nftables lets in, as `nft --json list ruleset` says it (libnftables-json(5)): a look, and no proof."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

REFUSALS = ("drop", "reject")


def ruleset_refuses(said: str, port: int) -> bool:
    """Whether what comes in is refused unless a rule lets it in, and no rule that does names the TCP port."""
    try:
        entries = msgspec.json.decode(said, type=dict[str, list[dict[str, Any]]]).get("nftables", [])
    except msgspec.DecodeError:
        return False
    rules = [entry["rule"] for entry in entries if "rule" in entry]
    named = any(_names_port(rule, port) for rule in rules)
    chains = [entry["chain"] for entry in entries if entry.get("chain", {}).get("hook") == "input"]
    return not named and any(
        chain.get("policy") == "drop" or any(_refuses_all(rule) for rule in rules if _is_in(rule, chain))
        for chain in chains
    )


def chain_refuses(said: str, port: int) -> bool:
    """The same from what `iptables -S INPUT` says."""
    lines = said.splitlines()
    return "-P INPUT DROP" in lines and not any(f"--dport {port} " in line and "ACCEPT" in line for line in lines)


def _is_in(rule: dict[str, Any], chain: dict[str, Any]) -> bool:
    return [rule.get(key) for key in ("family", "table", "chain")] == [
        chain.get(key) for key in ("family", "table", "name")
    ]


def _refuses_all(rule: dict[str, Any]) -> bool:
    """Whether a rule refuses without a condition."""
    statements = [key for statement in rule.get("expr", []) for key in statement]
    return "match" not in statements and any(key in statements for key in REFUSALS)


def _names_port(rule: dict[str, Any], port: int) -> bool:
    statements = rule.get("expr", [])
    return any("accept" in statement for statement in statements) and any(
        any(first <= port <= last for first, last in _ports(statement["match"]))
        for statement in statements
        if "match" in statement
    )


def _ports(match: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """The ranges of destination ports for which a match holds."""
    left = match.get("left")
    payload = left.get("payload") if isinstance(left, dict) else None
    if not isinstance(payload, dict) or payload.get("field") != "dport" or match.get("op") != "==":
        return
    right = match.get("right")
    for one in right["set"] if isinstance(right, dict) and "set" in right else [right]:
        first, last = one["range"] if isinstance(one, dict) and "range" in one else (one, one)
        if isinstance(first, int) and isinstance(last, int):
            yield first, last
