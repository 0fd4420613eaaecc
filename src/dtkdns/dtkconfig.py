"""The `dns` section of Desktop Kubernetes' own `config.yaml`: one file tells DTK and dtkdns the same."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from typing import TypeVar
from urllib.parse import unquote_to_bytes

import yaml
from attrs import field, frozen

from dtkdns.cluster import CLUSTER_NAME, DEFAULT
from dtkdns.names import is_hostname, quoted, to_ascii
from dtkdns.settings import MOST_DOMAINS, SettingError, parse_domains

T = TypeVar("T")

MOST_BYTES = 256 * 1024
"""Of the file: a second of parsing."""
SECTION = "dns"
NULL = "tag:yaml.org,2002:null"
"""Of a key without a value."""
SCALARS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "timestamp"))
"""What a plain text can be; it is taken as it is written."""

_USERINFO = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_QUOTED_WORD = re.compile(r"""\s*(['"])[\w!-]{2,}\1""", re.ASCII)


@frozen
class DTKConfig:
    """What the section says; DTK's script puts `host-ip` and `webhook-port` into a URL as they are."""

    domains: tuple[str, ...] = ()
    port: str | None = None
    """A number; None where the file has none."""
    cluster: str = DEFAULT
    """Whose base the URL is: `webhook-port: 5000/clusters/lab`."""
    host: str = ""
    """The desktop's address as the VMs reach it, for a person to read; empty where the file has none."""
    credentials: tuple[str, str] | None = field(default=None, repr=False)
    """User and secret before the address, as whoever calls that URL sends them."""


def read_config(path: str) -> DTKConfig:
    """Read the section.

    Raises `SettingError` with file, line and key where something in it is wrong, but never with a secret; other
    sections are not looked at.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SettingError(f"--config: {path} cannot be read: {error.strerror}.") from error
    if len(data) > MOST_BYTES:
        raise SettingError(f"--config: {path} is larger than {MOST_BYTES} bytes: is it DTK's config.yaml?")
    section = _Section(path, _compose(path, data))
    if section.get("enabled", _boolean, "true") is False:
        raise section.fault("enabled", "it is false: set it to true, or start dtkdns without --config")
    port, cluster = section.get("webhook-port", _port, "5000") or (None, DEFAULT)
    credentials, host = section.get("host-ip", _host, "192.168.0.12 or '[fd00::12]'") or (None, "")
    domains = section.get("domain", _domains, "dtk.io or a.io,b.io") or ()
    return DTKConfig(domains, port, cluster, host, credentials)


def _compose(path: str, data: bytes) -> yaml.Node | None:
    """The file's nodes, with their lines and without any meaning of tags. Raises `SettingError`."""
    try:
        return yaml.compose(data, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = "" if mark is None else f", line {mark.line + 1},"
        why = _QUOTED_WORD.sub("", error.problem or "").removeprefix("but ")  # it may be a part of a secret
        raise SettingError(f"--config: {path}{line} is not YAML: {why}.") from None
    except RecursionError:
        raise SettingError(f"--config: {path} is nested too deeply: is it DTK's config.yaml?") from None
    except (yaml.YAMLError, ValueError, OverflowError):
        raise SettingError(f"--config: {path} is not YAML: it has characters that no text has.") from None


class _Section:
    """The scalars of the section by their keys."""

    def __init__(self, path: str, root: yaml.Node | None) -> None:
        self._path = path
        sections = [(key, value) for key, value in _pairs(root) if key.value == SECTION]
        if not sections:
            raise SettingError(f"--config: {path} has no section {SECTION}: is it DTK's config.yaml?")
        key, found = sections[-1]
        line = key.start_mark.line + 1
        if len(sections) > 1:
            raise SettingError(f"--config: {path}, line {line}: {SECTION} was there before: leave one.")
        if not isinstance(found, yaml.MappingNode) and found.tag != NULL:
            raise SettingError(f"--config: {path}, line {line}: {SECTION} is no section of keys and values.")
        self._found = list(_pairs(found))
        self._once("<<")
        if self._keys("<<"):
            raise self.fault("<<", "what it stands for is not read: write the values here")

    def get(self, key: str, parse: Callable[[str], T], example: str) -> T | None:
        """The value of a key; None where it is not there or is empty. Raises `SettingError`."""
        node = self._once(key)
        if node is None or node.tag == NULL:
            return None
        if not isinstance(node, yaml.ScalarNode) or node.tag not in SCALARS:
            raise self.fault(key, f"it is not a single value: give one like {example}")
        text = str(node.value).strip()
        if "@" in text and key != "host-ip":
            raise self.fault(key, f"user and secret stand in host-ip; give one like {example} here")
        try:
            return parse(text) if text else None
        except ValueError as error:
            raise self.fault(key, str(error).removesuffix(".")) from None

    def fault(self, key: str, what: str) -> SettingError:
        """What is wrong with a key, in its last line."""
        line = self._keys(key)[-1][0].start_mark.line + 1
        return SettingError(f"--config: {self._path}, line {line}: {SECTION}.{key}: {what}.")

    def _once(self, key: str) -> yaml.Node | None:
        found = self._keys(key)
        if len(found) > 1:
            raise self.fault(key, "it was there before: leave one")
        return found[0][1] if found else None

    def _keys(self, key: str) -> list[tuple[yaml.ScalarNode, yaml.Node]]:
        return [pair for pair in self._found if pair[0].value == key]


def _pairs(node: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode):
            yield key, value


def _boolean(text: str) -> bool:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    raise SettingError(f"{quoted(text)} is neither true nor false")


def _domains(text: str) -> tuple[str, ...]:
    domains = parse_domains([text])
    if len(domains) > MOST_DOMAINS:
        raise SettingError(f"a cluster has {MOST_DOMAINS} domains at most, and these are {len(domains)}")
    return domains


def _port(text: str) -> tuple[str, str]:
    """The port and the cluster of `5000` or `5000/clusters/lab`."""
    port, _, base = text.partition("/")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535):
        raise SettingError(f"{quoted(text)} does not begin with a port: give one like 5000, or 5000/clusters/lab")
    if not base.strip("/"):
        return str(int(port)), DEFAULT
    prefix, _, cluster = base.rstrip("/").partition("/")
    if prefix != "clusters" or CLUSTER_NAME.fullmatch(cluster) is None:
        raise SettingError(f"{quoted(text)} has a path that is no base of dtkdns: give one like 5000/clusters/lab")
    return str(int(port)), cluster


def _host(text: str) -> tuple[tuple[str, str] | None, str]:
    """The credentials and the address of `192.168.0.12` or `user:secret@192.168.0.12`; no message quotes it."""
    before, at, host = text.rpartition("@")
    if not _stands_in_url(host):
        raise SettingError(
            "it does not end in an address or a host name: give one like 192.168.0.12, '[fd00::12]' for IPv6, or"
            " user:secret@192.168.0.12"
        )
    return (_credentials(before) if at else None), host


def _credentials(text: str) -> tuple[str, str]:
    """User and secret, decoded as curl and Go do it (RFC 3986, section 3.2.1)."""
    user, _, secret = text.partition(":")
    if not user or not secret:
        raise SettingError("what stands before the @ is not user:secret")
    if _USERINFO.fullmatch(text) is None:
        raise SettingError(
            "user or secret has a character that no URL can have there: write an @ as %40, a / as %2F"
        )
    if secret.startswith(("scrypt:", "pbkdf2:")):
        raise SettingError("a hash is of no use in a URL: write the secret itself")
    try:
        user, _, secret = unquote_to_bytes(text).decode("utf-8").partition(":")
    except UnicodeDecodeError:
        raise SettingError("user or secret is not UTF-8") from None
    return user, secret


def _stands_in_url(host: str) -> bool:
    """Whether it can stand where a URL has its host (RFC 3986, section 3.2.2)."""
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host[1:-1] if bracketed else host)
    except ValueError:
        return not bracketed and is_hostname(to_ascii(host))
    return bracketed == (address.version == 6) and "%" not in host
