"""What nftables lets in, as `nft --json list ruleset` says it (libnftables-json(5)): a look, and no proof."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

REFUSALS = ("drop", "reject")
XT_REFUSALS = ("DROP", "REJECT")
"""The same as iptables-nft(8) leaves them in the ruleset."""


def ruleset_refuses(said: str, port: int) -> bool:
    """Whether what comes in is refused unless a rule lets it in, and no rule that does names the TCP port."""
    chains, rules = _chains_and_rules(said)
    named = any(_verdict(rule) == "accept" and _is_about_port(rule, port) for rule in rules)
    return not named and any(
        chain.get("policy") == "drop" or any(_refuses_all(rule) for rule in rules if _is_in(rule, chain))
        for chain in chains
    )


def ruleset_forbids(said: str, port: int) -> bool:
    """Whether a rule for what comes in names the TCP port to refuse it, and none before that lets it in."""
    chains, rules = _chains_and_rules(said)
    for chain in chains:
        about = (rule for rule in rules if _is_in(rule, chain) and _is_about_port(rule, port))
        verdicts = (_verdict(rule) for rule in about)
        if next((verdict for verdict in verdicts if verdict), "") == "refuse":
            return True
    return False


def chain_refuses(said: str, port: int) -> bool:
    """`ruleset_refuses` from what `iptables -S INPUT` says."""
    lines = said.splitlines()
    return "-P INPUT DROP" in lines and not any(f"--dport {port} " in line and "ACCEPT" in line for line in lines)


def chain_forbids(said: str, port: int) -> bool:
    """`ruleset_forbids` from what `iptables -S INPUT` says."""
    about = [line for line in said.splitlines() if f"--dport {port} " in line]
    first = next((line for line in about if re.search(r" -j (ACCEPT|DROP|REJECT)\b", line)), "")
    return bool(first) and "-j ACCEPT" not in first


def _chains_and_rules(said: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The chains for what comes in, and all rules."""
    try:
        entries = msgspec.json.decode(said, type=dict[str, list[dict[str, Any]]]).get("nftables", [])
    except msgspec.DecodeError:
        return [], []
    chains = [entry["chain"] for entry in entries if entry.get("chain", {}).get("hook") == "input"]
    return chains, [entry["rule"] for entry in entries if "rule" in entry]


def _is_in(rule: dict[str, Any], chain: dict[str, Any]) -> bool:
    return [rule.get(key) for key in ("family", "table", "chain")] == [
        chain.get(key) for key in ("family", "table", "name")
    ]


def _refuses_all(rule: dict[str, Any]) -> bool:
    """Whether a rule refuses without a condition."""
    return _verdict(rule) == "refuse" and not any("match" in statement for statement in rule.get("expr", []))


def _verdict(rule: dict[str, Any]) -> str:
    """`accept` or `refuse`; empty where a rule says neither, or only of what is too much."""
    verdict = ""
    for statement in rule.get("expr", []):
        if "limit" in statement:
            return ""
        target = statement.get("xt") or {}
        if "accept" in statement:
            verdict = "accept"
        elif any(key in statement for key in REFUSALS) or target.get("name") in XT_REFUSALS:
            verdict = "refuse"
    return verdict


def _is_about_port(rule: dict[str, Any], port: int) -> bool:
    return any(
        any(first <= port <= last for first, last in _ports(statement["match"]))
        for statement in rule.get("expr", [])
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
