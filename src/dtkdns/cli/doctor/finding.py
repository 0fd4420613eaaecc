"""What one check comes to."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """How much it matters."""

    OK = "ok"
    NOTE = "note"
    """It could not be asked, or is nobody's fault."""
    WARNING = "warning"
    """Names resolve, but not all of them, not everywhere, or not for certain."""
    FAULT = "fault"


class Finding(msgspec.Struct, frozen=True):
    """A check, and what it comes to."""

    check: str
    level: Level
    detail: str
    """What is so, as a sentence."""
    advice: str = ""
    """What to do, as a sentence; empty where nothing is to be done."""


def well(check: str, detail: str) -> Finding:
    return Finding(check, Level.OK, detail)


def note(check: str, detail: str, advice: str = "") -> Finding:
    return Finding(check, Level.NOTE, detail, advice)


def warning(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Level.WARNING, detail, advice)


def fault(check: str, detail: str, advice: str) -> Finding:
    return Finding(check, Level.FAULT, detail, advice)
