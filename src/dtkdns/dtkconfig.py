"""The `dns` section of Desktop Kubernetes' own `config.yaml`: one file tells DTK and dtkdns the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import yaml
from attrs import field, frozen

from dtkdns.cluster import CLUSTER_NAME, DEFAULT
from dtkdns.settings import SettingError, parse_domains

T = TypeVar("T")

SECTION = "dns"
NULL = "tag:yaml.org,2002:null"
"""Of a key without a value."""


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
    """User and secret before the address."""


def read_config(path: str) -> DTKConfig:
    """Read the section.

    Raises `SettingError` with file, line and key where something in it is wrong; other sections are not looked at.
    """
    try:
        with open(path, "rb") as file:
            root = yaml.compose(file, Loader=yaml.SafeLoader)
    except OSError as error:
        raise SettingError(f"--config: {path} cannot be read: {error.strerror}.") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise SettingError(f"--config: {path} is not YAML: {' '.join(str(error).split())}.") from error
    section = _Section(path, root)
    if section.get("enabled", _boolean) is False:
        raise section.fault("enabled", "it is false: set it to true, or start dtkdns without --config")
    port, cluster = section.get("webhook-port", _port) or (None, DEFAULT)
    credentials, host = section.get("host-ip", _host) or (None, "")
    domains = section.get("domain", lambda text: parse_domains([text])) or ()
    return DTKConfig(domains, port, cluster, host, credentials)


class _Section:
    """The scalars of the section by their keys."""

    def __init__(self, path: str, root: yaml.Node | None) -> None:
        self._path = path
        found = dict(_pairs(root)).get(SECTION)
        if found is None:
            raise SettingError(f"--config: {path} has no section {SECTION}: is it DTK's config.yaml?")
        if not isinstance(found, yaml.MappingNode) and found.tag != NULL:
            line = found.start_mark.line + 1
            raise SettingError(f"--config: {path}, line {line}: {SECTION} is no section of keys and values.")
        self._nodes = dict(_pairs(found))

    def get(self, key: str, parse: Callable[[str], T]) -> T | None:
        """The value of a key; None where it is not there or is empty. Raises `SettingError`."""
        node = self._nodes.get(key)
        if node is None or node.tag == NULL:
            return None
        if not isinstance(node, yaml.ScalarNode):
            raise self.fault(key, "it is not a single value")
        try:
            return parse(str(node.value))
        except ValueError as error:
            raise self.fault(key, str(error).removesuffix(".")) from error

    def fault(self, key: str, what: str) -> SettingError:
        """What is wrong with the value of a key."""
        line = self._nodes[key].start_mark.line + 1
        return SettingError(f"--config: {self._path}, line {line}: {SECTION}.{key}: {what}.")


def _pairs(node: yaml.Node | None) -> list[tuple[str, yaml.Node]]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return [(key.value, value) for key, value in pairs if isinstance(key, yaml.ScalarNode)]


def _boolean(text: str) -> bool:
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    raise SettingError(f"{text!a} is neither true nor false")


def _port(text: str) -> tuple[str, str]:
    """The port and the cluster of `5000` or `5000/clusters/lab`."""
    port, slash, rest = text.partition("/")
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535):
        raise SettingError(f"{text!a} does not begin with a port: give one like 5000, or 5000/clusters/lab")
    prefix, _, cluster = rest.rstrip("/").partition("/")
    if not slash or not rest:
        return port, DEFAULT
    if prefix != "clusters" or CLUSTER_NAME.fullmatch(cluster) is None:
        raise SettingError(f"{text!a} has a path that is no base of dtkdns: give one like 5000/clusters/lab")
    return port, cluster


def _host(text: str) -> tuple[tuple[str, str] | None, str]:
    """The credentials and the address of `192.168.0.12` or `user:secret@192.168.0.12`."""
    before, at, host = text.rpartition("@")
    user, _, secret = before.partition(":")
    if at and not (user and secret and host):
        raise SettingError("it is not user:secret@ADDRESS")
    return ((user, secret) if at else None), host
