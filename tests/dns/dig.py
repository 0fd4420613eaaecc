"""What dig(1) is told."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

import yaml
from attrs import frozen

from .serving import need


@frozen
class Reply:
    """The last message that came."""

    status: str
    flags: set[str]
    answers: tuple[str, ...]
    """Records as in a zone file, `NAME TTL IN TYPE DATA`, in order; so in the other sections."""
    authority: tuple[str, ...]
    additional: tuple[str, ...]
    protocol: str
    """UDP or TCP."""
    edns: dict[str, Any] | None
    question: str


def dig(server: str, port: int, *question: str, prefix: Sequence[str] = ()) -> Reply:
    """Ask once."""
    need("dig")
    command = ["dig", "+yaml", "+tries=1", "+timeout=10", f"@{server}", "-p", str(port), *question]
    done = subprocess.run([*prefix, *command], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done
    said = "\n".join(line for line in done.stdout.splitlines() if not line.startswith(";"))
    message = yaml.safe_load(said)[-1]["message"]
    data = message["response_message_data"]
    answers, authority, additional = (
        tuple(sorted(data.get(f"{name}_SECTION", []))) for name in ("ANSWER", "AUTHORITY", "ADDITIONAL")
    )
    return Reply(
        data["status"],
        set(data["flags"].split()),
        answers,
        authority,
        additional,
        message["socket_protocol"],
        data.get("OPT_PSEUDOSECTION", {}).get("EDNS"),
        data.get("QUESTION_SECTION", [""])[0],
    )
