"""The manual page, from the help of the commands and the service's options (man-pages(7), groff_man(7))."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence

import click

from dtkdns.cli.main import main
from dtkdns.overview import VERSION
from dtkdns.tap import Options

WIDTH = 72
"""Letters of a line before some of them take more than one."""
SUMMARY = "names of a desktop's Kubernetes clusters"
SHARED = ("--url", "--credentials")
"""Options that are described once for all commands."""
SYNOPSIS = ("dtkdns COMMAND [OPTIONS] [ARGUMENTS]", "twistd [OPTIONS OF TWISTD] dtkdns [OPTIONS OF THE SERVICE]")
STARTING = """\
The service runs under twistd(1). This starts it in the foreground, where Ctrl-C ends it:

\b
    twistd -n --pidfile= dtkdns --domains dtk.io

Without -n it goes into the background. --logfile=FILE, --syslog and --pidfile=FILE of twistd stand before the word
dtkdns. It writes /etc/hosts as root only; with --hosts-file none any user can run it. dtkdns install makes it a
service of systemd."""
EXIT_STATUS = (
    ("0", "All is well, or done."),
    ("1", "Something is wrong, and said; or nothing was done."),
    ("2", "The command line is wrong."),
    ("130", "It was interrupted, for instance by Ctrl-C."),
)
ENVIRONMENT = (
    ("DTKDNS_URL", "Where dtkdns is called, for a command without --url."),
    ("NO_COLOR", "When set and not empty, no screen has colours."),
    ("XDG_STATE_HOME", "Where the service of a user who is not root keeps its state; ~/.local/state without it."),
)
FILES = (
    ("/etc/hosts", "The file that the service keeps, in a block of its own; every other line stays as it is."),
    ("/var/lib/dtkdns, $XDG_STATE_HOME/dtkdns", "The state of root's service, and of a user's: the records, what"
     " was posted, and the URL by which the commands find it."),
)  # fmt: skip
SEE_ALSO = (
    "twistd(1)",
    "getent(1)",
    "hosts(5)",
    "nsswitch.conf(5)",
    "resolv.conf(5)",
    "systemd-resolved.service(8)",
    "dnsmasq(8)",
)


def manual(changes: str) -> str:
    """The page; its date is that of the newest version in the list of changes."""
    dated = re.search(r"^## \S+, (.+)$", changes, re.MULTILINE)
    lines = [
        f'.TH DTKDNS 1 "{dated[1] if dated else ""}" "dtkdns {VERSION}" "dtkdns"',
        ".SH NAME",
        rf"dtkdns \- {_text(SUMMARY)}",
        ".SH SYNOPSIS",
        *_lines_kept(SYNOPSIS),
        ".SH DESCRIPTION",
        *_prose(Options.longdesc),
        ".PP",
        *_prose(inspect.cleandoc(main.help or "")),
        ".SH OPTIONS",
        *_prose("These are taken by the commands that say so."),
        *_shared_options(),
        *_entry(_bold("-h, --help"), "Say what a command does. Every command has it."),
        *_entry(_bold("--version"), "Say which dtkdns this is; given without a command."),
        ".SH COMMANDS",
    ]
    for words, command in _commands(main, "dtkdns"):
        lines += _command(words, command)
    lines += [".SH OPTIONS OF THE SERVICE", *_prose(STARTING), *_service_options()]
    for title, entries in (("EXIT STATUS", EXIT_STATUS), ("ENVIRONMENT", ENVIRONMENT), ("FILES", FILES)):
        lines.append(f".SH {title}")
        for term, said in entries:
            lines += _entry(_bold(term), said)
    named = ", ".join(rf"\fB{_text(page)}\fP({section})" for page, section in map(_page_and_section, SEE_ALSO))
    return "\n".join([*lines, ".SH SEE ALSO", named]) + "\n"


def _commands(group: click.Group, words: str) -> Iterator[tuple[str, click.Command]]:
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from _commands(command, f"{words} {name}")
        elif not command.hidden:
            yield f"{words} {name}", command


def _command(words: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=words)
    yield f'.SS "{_text(" ".join([words, *command.collect_usage_pieces(context)]))}"'
    yield from _prose(inspect.cleandoc(command.help or ""))
    shared = []
    for option in _options(command):
        if option.opts[0] in SHARED:
            shared.append(option.opts[0])
        else:
            yield from _option(option)
    if shared:
        yield ".PP"
        yield from _prose(f"Also {' and '.join(shared)}: see OPTIONS.")


def _options(command: click.Command) -> list[click.Option]:
    return [one for one in command.params if isinstance(one, click.Option) and not one.hidden]


def _shared_options() -> Iterator[str]:
    for option in _options(main.commands["status"]):
        if option.opts[0] in SHARED:
            yield from _option(option)


def _option(option: click.Option) -> Iterator[str]:
    names = ", ".join(map(_bold, option.opts)) + "".join(f" / {_bold(name)}" for name in option.secondary_opts)
    takes = "" if option.is_flag else f" {_italic(_metavar(option))}"
    default = f"{option.default:g}" if isinstance(option.default, float) else option.default
    also = f" [default: {default}]" if option.show_default and default is not None else ""
    yield from _entry(names + takes, f"{option.help or ''}{also}")


def _metavar(option: click.Option) -> str:
    if option.metavar is None and isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.metavar or option.type.name.upper()


def _service_options() -> Iterator[str]:
    for name, short, default, said in Options.optParameters:
        names = ([f"-{short}"] if short else []) + [f"--{name}"]
        also = f" [default: {default}]" if default else ""
        yield from _entry(f"{', '.join(map(_bold, names))} {_italic('VALUE')}", f"{said}{also}")
    for name, _short, said in Options.optFlags:
        yield from _entry(_bold(f"--{name}"), f"{said}")


def _entry(term: str, said: str) -> Iterator[str]:
    yield ".TP"
    yield term
    yield from _filled(said)


def _prose(text: str) -> Iterator[str]:
    """Paragraphs as click has them: one that begins with a backspace keeps its lines."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        lines = paragraph.split("\n")
        if lines[0].strip() == "\b":
            yield from _lines_kept(lines[1:])
        else:
            yield from _filled(paragraph)


def _filled(text: str) -> Iterator[str]:
    """The lines of a paragraph, which are filled anew when it is shown."""
    words = " ".join(text.split())
    yield from map(_text, textwrap.wrap(words, WIDTH, break_long_words=False, break_on_hyphens=False))


def _lines_kept(lines: Sequence[str]) -> Iterable[str]:
    return [".nf", *map(_text, lines), ".fi"]


def _page_and_section(reference: str) -> tuple[str, str]:
    page, _, section = reference.partition("(")
    return page, section.rstrip(")")


def _bold(text: str) -> str:
    return rf"\fB{_text(text)}\fP"


def _italic(text: str) -> str:
    return rf"\fI{_text(text)}\fP"


def _text(text: str) -> str:
    """A text whose letters are taken for nothing else and can be copied from the page (groff_man_style(7)).

    What stands between backticks is bold.
    """
    special = {"\\": r"\e", "-": r"\-", "'": r"\(aq", '"': r"\(dq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
    escaped = "".join(special.get(letter, letter) for letter in text)
    marked = re.sub(r"\\\(ga(.*?)\\\(ga", r"\\fB\1\\fP", escaped)
    return rf"\&{marked}" if marked.startswith(".") else marked
