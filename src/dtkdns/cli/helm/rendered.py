"""What a chart makes of the values: rendered by helm, and whether the Deployment is as it should be."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml
from attrs import frozen

from dtkdns.cli.client import plain
from dtkdns.smoke.report import FaultError

HELM_SECONDS = 60.0
CONTAINER = "external-dns"
"""Whatever the release is called."""
FLAGS = {
    "interval": "interval",
    "logLevel": "log-level",
    "policy": "policy",
    "registry": "registry",
    "txtOwnerId": "txt-owner-id",
}
"""The flags of external-dns that the chart makes of its values."""
ADVICE = "Give external-dns' chart, as a directory or a .tgz file."


@frozen
class Deployment:
    """The part of it that counts."""

    chart: str
    """Name and version, as it is labelled."""
    containers: Mapping[str, tuple[str, ...]]
    """The arguments of each."""


def render(chart: str, values: str) -> str:
    """What `helm template` makes of a chart with a file of values. Raises `FaultError`."""
    helm = shutil.which("helm")
    if helm is None:
        raise FaultError("There is no helm here.", "Install helm, or leave out --check.")
    command = [helm, "template", CONTAINER, chart, "--namespace", CONTAINER, "--values", "-"]
    try:
        done = subprocess.run(  # noqa: S603 (the chart is what the person named)
            command, input=values.encode(), capture_output=True, check=False, timeout=HELM_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        wrong = f"helm does not end within {error.timeout:g} s."
        raise FaultError(wrong, "Give a chart that lies on this machine.") from error
    except OSError as error:
        raise FaultError(f"{plain(helm)} does not start: {error.strerror}.", "Does helm version run?") from error
    if done.returncode:
        said = plain(" ".join(done.stderr.decode("utf-8", "replace").split()))
        raise FaultError(f"helm says: {said.removesuffix('.')}.", ADVICE)
    return done.stdout.decode("utf-8", "replace")


def expected_flags(values: Mapping[str, Any]) -> list[str]:
    """What external-dns is to be started with."""
    return [
        *(f"--{flag}={values[key]}" for key, flag in FLAGS.items()),
        *(f"--source={one}" for one in values["sources"]),
        f"--provider={values['provider']['name']}",
        *values["extraArgs"],
    ]


def deployment_of(manifests: str) -> Deployment:
    """The one Deployment among the manifests. Raises `FaultError`."""
    try:
        every = list(yaml.safe_load_all(manifests))
        found = [_read(one) for one in every if isinstance(one, dict) and one.get("kind") == "Deployment"]
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, ValueError) as error:
        raise FaultError("The chart does not make what Kubernetes would take for a Deployment.", ADVICE) from error
    if len(found) != 1:
        raise FaultError(f"The chart makes {len(found)} Deployments instead of one.", ADVICE)
    return found[0]


def _read(manifest: dict[str, Any]) -> Deployment:
    label = manifest["metadata"].get("labels", {}).get("helm.sh/chart", "this chart")
    containers = manifest["spec"]["template"]["spec"]["containers"]
    return Deployment(
        plain(str(label)),
        {str(one["name"]): tuple(str(argument) for argument in one.get("args") or ()) for one in containers},
    )


def faults(deployment: Deployment, flags: Iterable[str]) -> Iterator[str]:
    """What is not as it should be, a sentence each; none has a flag's value, which may hold a secret."""
    for name in deployment.containers:
        if name != CONTAINER:
            yield (
                f"There is a container {plain(name)} beside external-dns: take it out with the script that"
                " dtkdns helm-values --post-renderer prints."
            )
    given = deployment.containers.get(CONTAINER, ())
    for flag in flags:
        name = flag.partition("=")[0]
        found = [one for one in given if one.partition("=")[0] == name]
        if found != [flag]:
            wrong = "is missing" if not found else "is given twice" if len(found) > 1 else "has another value"
            yield f"external-dns' {name} {wrong}: is it external-dns' own chart, as it was published?"
