"""What is made from the program is as the program is now."""

from __future__ import annotations

import re
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from dtkdns.cli.main import main
from dtkdns.tap import Options
from make import DOCS, pages

MANUAL = (DOCS / "dtkdns.1").read_text("utf-8")
PICTURES = sorted(DOCS.glob("*.svg"))


@pytest.mark.parametrize("name", pages())
def test_what_is_made_from_the_program_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == pages()[name], "run python docs/make.py"


@pytest.mark.parametrize("name", main.commands)
def test_the_manual_page_has_every_command_with_its_options(name: str) -> None:
    section = re.search(
        rf'^\.SS "dtkdns {re.escape(name.replace("-", chr(92) + "-"))}[ "].*?(?=^\.S[SH])', MANUAL, re.M | re.S
    )
    assert section is not None
    for option in main.commands[name].params:
        for word in option.opts:
            if word.startswith("--"):
                assert word.replace("-", r"\-") in section[0]


def test_the_manual_page_has_every_option_of_the_service() -> None:
    service = MANUAL.partition(".SH OPTIONS OF THE SERVICE")[2].partition("\n.SH ")[0]
    for name, *_rest in [*Options.optParameters, *Options.optFlags]:
        assert rf"\fB\-\-{name.replace('-', chr(92) + '-')}\fP" in service


def test_the_manual_page_has_what_is_looked_for_in_one() -> None:
    sections = re.findall(r"^\.SH (.*)$", MANUAL, re.M)
    assert sections[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    assert sections[-4:] == ["EXIT STATUS", "ENVIRONMENT", "FILES", "SEE ALSO"]
    assert "DTKDNS_URL" in MANUAL


def test_no_letter_of_a_text_is_taken_for_a_request() -> None:
    known = {"TH", "SH", "SS", "PP", "TP", "nf", "fi"}
    for line in MANUAL.splitlines():
        assert not line.startswith("'")
        if line.startswith("."):
            assert line[1:3] in known, line


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_picture_refers_to_nothing_outside_itself(picture: Path) -> None:
    text = picture.read_text("utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert re.findall(r"url\((?!#)|href|@import|@font-face|<image", text) == []


def test_the_wheel_has_the_manual_page_where_man_looks() -> None:
    files = [str(path) for path in distribution("dtkdns").files or ()]
    if not any(path.endswith("dtkdns/cli/main.py") for path in files):
        pytest.skip("dtkdns is not installed from a wheel here")
    assert (Path(sys.prefix) / "share" / "man" / "man1" / "dtkdns.1").read_text("utf-8") == MANUAL
