#!/usr/bin/env python3
"""A post-renderer for Helm: takes the container "webhook" out of a Deployment, for a webhook outside the cluster.

It is needed where the values name an image for that container, and not with those that dtkdns prints. It needs
Python with PyYAML.

Helm 3 runs this file: make it executable, and give helm --post-renderer ./post-render.py.

Helm 4 runs plugins only. Put this file as post-render.py into a directory dtkdns-post-render, with a plugin.yaml:

    apiVersion: v1
    name: dtkdns-post-render
    version: 1.0.0
    type: postrenderer/v1
    runtime: subprocess
    runtimeConfig:
      platformCommand:
        - command: ${HELM_PLUGIN_DIR}/post-render.py

Then type helm plugin install ./dtkdns-post-render, and give helm --post-renderer dtkdns-post-render.
"""

import sys

import yaml

SIDECAR = "webhook"


def without_sidecar(manifests: str) -> str:
    """The manifests without the lines of that container, and otherwise as they are."""
    lines = manifests.splitlines(keepends=True)
    for manifest in yaml.compose_all(manifests, Loader=yaml.SafeLoader):
        if _text(_at(manifest, "kind")) == "Deployment":
            containers = _at(manifest, "spec", "template", "spec", "containers")
            for container in containers.value if isinstance(containers, yaml.SequenceNode) else ():
                if _text(_at(container, "name")) == SIDECAR:
                    for number in range(container.start_mark.line, container.end_mark.line):
                        lines[number] = ""
    return "".join(lines)


def _at(node: yaml.Node | None, *keys: str) -> yaml.Node | None:
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        node = next((value for name, value in pairs if name.value == key), None)
    return node


def _text(node: yaml.Node | None) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


if __name__ == "__main__":
    sys.stdout.write(without_sidecar(sys.stdin.read()))
