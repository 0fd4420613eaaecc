"""Judgements of other programs that write the hosts file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from dtkdns.cli.doctor.finding import Finding, warning, well

DOCKER = b"# Added by Docker Desktop"
"""The line before those that Docker Desktop writes."""
STORE = "/nix/store/"


def cloud_init(texts: Mapping[str, str]) -> Iterator[Finding]:
    """What cloud-init does at a boot: from its files in their order, of which the last one that says it counts.

    The value `localhost` changes one line only.
    """
    value: object = False
    source = ""
    for path, text in texts.items():
        try:
            document: Any = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
        if isinstance(document, dict) and "manage_etc_hosts" in document:
            value, source = document["manage_etc_hosts"], path
    if str(value).lower() in {"true", "template"}:
        yield warning(
            "other writers",
            f"cloud-init writes the hosts file anew at every boot ({source}: manage_etc_hosts); dtkdns then puts"
            " its block back.",
            f"Set manage_etc_hosts: false in {source}, or put lines of your own into cloud-init's template.",
        )


def nixos(*, is_nixos: bool, target: str) -> Iterator[Finding]:
    """What NixOS does; `target` is where the hosts file is a symbolic link to, or empty."""
    if target.startswith(STORE):
        yield warning(
            "other writers",
            f"The hosts file is a link to {target}, which nobody can write.",
            'Set environment.etc.hosts.mode = "0644", or start dtkdns with --hosts-file none.',
        )
    elif is_nixos:
        yield warning(
            "other writers",
            "NixOS writes the hosts file anew at every nixos-rebuild switch; dtkdns puts its block back.",
            "Nothing, as long as dtkdns runs then; lines of your own belong into networking.extraHosts.",
        )


def docker_desktop(hosts: bytes | None) -> Iterator[Finding]:
    """Whether Docker Desktop has written lines into it."""
    if hosts is not None and any(line.startswith(DOCKER) for line in hosts.splitlines()):
        yield warning(
            "other writers",
            "Docker Desktop writes the hosts file too, when it starts; dtkdns keeps its lines.",
            "If names vanish then, switch off its setting that adds *.docker.internal names to the hosts file.",
        )


def nobody() -> Finding:
    return well("other writers", "No other program is known to write the hosts file.")
