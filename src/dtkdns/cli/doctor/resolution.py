"""Judgements of how programs look names up: nsswitch.conf(5), systemd-resolved, and the recipe for DNS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from dtkdns.cli.doctor.finding import Finding, fault, note, warning, well
from dtkdns.cli.resolver.recipes import DELEGATE, LINK, RESOLVERS, STUB, Recipe, recipe_for
from dtkdns.smoke.lookup import RESOLVE, sources_of, suspicion
from dtkdns.status import DNSStatus

"""The recipe that works in newer versions too."""
SHOW = "dtkdns resolver prints it."
MANY = 3
"""Wildcards that are said."""


def uses_resolved(nsswitch: str, resolv_conf: str) -> bool:
    """Whether programs ask systemd-resolved."""
    return STUB in resolv_conf or RESOLVE in (sources_of(nsswitch) or [])


def order(nsswitch: str, *, used: bool, by_dns: bool = False) -> Finding:
    """Whether the C library reads the hosts file before others can answer, or systemd-resolved could do it for it,
    where it is `used`. With `by_dns` the names are found without the file too.
    """
    found = suspicion(nsswitch, resolved_reads=used)
    if found is None:
        return well("lookup order", "The hosts file comes first.")
    judge = fault if found.unread and not by_dns else warning
    return judge("lookup order", found.wrong, found.advice)


def reads_hosts(main: Mapping[str, str], drop_ins: Mapping[str, str]) -> str:
    """The file in which systemd-resolved is told not to read the hosts file; empty where it reads it.

    By their paths and in the order of resolved.conf(5): main files, of which the first counts, and drop-ins.
    """
    texts = dict(list(main.items())[:1]) | dict(drop_ins)
    said = ""
    for path, text in texts.items():
        section = ""
        for line in map(str.strip, text.splitlines()):
            if line.startswith("["):
                section = line
            key, equals, value = line.partition("=")
            if section == "[Resolve]" and equals and key.strip() == "ReadEtcHosts":
                said = path if value.strip().lower() in {"no", "n", "false", "f", "off", "0"} else ""
    return said


def in_order(directories: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """The drop-ins of several directories as they are read: by name, each from the first directory that has it."""
    chosen: dict[str, tuple[str, str]] = {}
    for directory in directories:
        for path, text in directory.items():
            chosen.setdefault(Path(path).name, (path, text))
    return dict(chosen[name] for name in sorted(chosen))


def resolved(told_in: str, nsswitch: str, *, by_dns: bool) -> Finding:
    """Whether systemd-resolved, which programs ask, reads the hosts file, or has the names `by_dns`.

    It matters less where the C library reads the file itself.
    """
    if not told_in:
        return well("systemd-resolved", "It reads the hosts file.")
    if by_dns:
        return well("systemd-resolved", "It does not read the hosts file, and asks dtkdns.")
    found = suspicion(nsswitch)
    judge = fault if found is not None and found.unread else warning
    return judge(
        "systemd-resolved",
        f"It does not read the hosts file: {told_in} says ReadEtcHosts=no.",
        "Remove that line, then: sudo systemctl restart systemd-resolved",
    )


@frozen
class Asked:
    """What the resolver of this machine is to ask dtkdns for, and what is known of that resolver."""

    dns: DNSStatus | None
    domains: tuple[str, ...]
    resolver: str | None
    """One of `RESOLVERS`; None where it cannot be told."""
    hosts_kept: bool
    wildcards: tuple[str, ...] = ()
    """Names that only DNS can show."""

    def followed(self, texts: Mapping[str, str]) -> bool:
        """Whether the resolver is told so, by the texts of files by their paths."""
        return any(all(texts.get(path) == text for path, text in files) for files in self.needed)

    @property
    def needed(self) -> list[list[tuple[str, str]]]:
        """Paths and texts of the files of each recipe that would do."""
        if self.dns is None or not self.dns.addresses:
            return []
        return [_with_domains(one, self.domains) for one in self.recipes]

    @property
    def recipes(self) -> list[Recipe]:
        """Each of them would do."""
        assert self.dns is not None  # noqa: S101 (else there is nothing to ask)
        host, _, port = self.dns.addresses[0].rpartition(":")
        several = [self.resolver, LINK] if self.resolver == DELEGATE else [self.resolver]
        return [recipe_for(name, self.domains, host.strip("[]"), int(port)) for name in several if name]


def recipe_paths(domains: Sequence[str]) -> list[str]:
    """The files of all the recipes."""
    recipes = (recipe_for(name, domains, "127.0.0.1", 5053) for name in RESOLVERS)
    return [path for one in recipes for path, _ in _with_domains(one, domains)]


def recipe(asked: Asked, texts: Mapping[str, str]) -> Finding:
    """Whether the resolver asks dtkdns for what it should; `texts` has those of `recipe_paths` that there are."""
    if asked.dns is None or not asked.dns.addresses:
        return _without_dns(asked, texts)
    if asked.followed(texts):
        return well("resolver", f"{asked.resolver} asks dtkdns for {', '.join(asked.domains)}.")
    if not asked.hosts_kept:
        judge, lacking = fault, "no name resolves: no hosts file is kept."
    elif asked.wildcards:
        judge, lacking = warning, f"no name of {', '.join(asked.wildcards[:MANY])} resolves."
    else:
        judge, lacking = note, "names resolve by the hosts file alone, and wildcards not at all."
    if asked.resolver is None:
        return judge(
            "resolver",
            f"It cannot be told which one answers on this machine; if it does not ask dtkdns, {lacking}",
            "dtkdns resolver --for NAME prints its recipe, if it is one of those that are known.",
        )
    other = [path for files in asked.needed for path, _ in files if path in texts]
    if other:
        return (warning if asked.hosts_kept else fault)(
            "resolver",
            f"{', '.join(other)} has other domains, or another port, than dtkdns has now.",
            f"Write it anew: {SHOW}",
        )
    return judge("resolver", f"{asked.resolver} does not ask dtkdns, so {lacking}", f"Follow its recipe: {SHOW}")


def _without_dns(asked: Asked, texts: Mapping[str, str]) -> Finding:
    if texts:
        return fault(
            "resolver",
            f"It is told to ask dtkdns ({', '.join(texts)}), which answers no DNS.",
            f"Start dtkdns with --dns, or remove the recipe: sudo rm {' '.join(texts)}",
        )
    if asked.wildcards:
        return warning(
            "resolver",
            f"dtkdns answers no DNS, so no name of {', '.join(asked.wildcards[:MANY])} resolves.",
            f"Start dtkdns with --dns, and follow the recipe: {SHOW}",
        )
    return well("resolver", "It does not ask dtkdns, which answers no DNS.")


def _with_domains(one: Recipe, domains: Sequence[str]) -> list[tuple[str, str]]:
    """The files that name the domains; what the others say may stand elsewhere too."""
    return [(path, text) for path, text in one.files if any(domain in path + text for domain in domains)]
