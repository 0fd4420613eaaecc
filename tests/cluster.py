"""A Kubernetes API without nodes: etcd and kube-apiserver, which is all that external-dns looks at.

`python tests/cluster.py COMMAND ...` builds the programs that are missing, brings the API up, runs the command
with `KUBECONFIG` set and `kubectl` on `PATH`, and takes everything down again; without one it waits for Ctrl-C.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import peers

TOKEN = "of-the-tests"  # noqa: S105 (of an API server that lives for one run)
START_SECONDS = 120
PATHS = {
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{namespace}/ingresses",
    "Service": "/api/v1/namespaces/{namespace}/services",
}


class ClusterError(Exception):
    """The API cannot be brought up; the message is a sentence."""


@define
class Namespaced:
    """What the tests create in one Kubernetes namespace."""

    kubeconfig: Path
    name: str
    _address: tuple[str, int] = field()
    _tls: ssl.SSLContext = field()

    @classmethod
    def of(cls, kubeconfig: Path, name: str) -> Namespaced:
        """Create the namespace."""
        with kubeconfig.open() as opened:
            server = json.load(opened)["clusters"][0]["cluster"]
        host, _, port = server["server"].removeprefix("https://").partition(":")
        tls = ssl.create_default_context(cafile=server["certificate-authority"])
        made = cls(kubeconfig, name, (host, int(port)), tls)
        with made._connection() as connection:
            _expect(_request(connection, "POST", "/api/v1/namespaces", {"metadata": {"name": name}}), 201)
        return made

    def apply(self, *objects: dict[str, Any]) -> None:
        """Create these objects, or replace them; a `status` among their fields is written as well."""
        with self._connection() as connection:
            for one in objects:
                path = PATHS[one["kind"]].format(namespace=self.name)
                name = one["metadata"]["name"]
                status, _ = _request(connection, "POST", path, one)
                if status == 409:
                    patch = {key: one[key] for key in ("metadata", "spec") if key in one}
                    _expect(_request(connection, "PATCH", f"{path}/{name}", patch), 200)
                elif status != 201:
                    raise AssertionError(status)
                if "status" in one:
                    patch = {"status": one["status"]}
                    _expect(_request(connection, "PATCH", f"{path}/{name}/status", patch), 200)

    def delete(self, *objects: dict[str, Any]) -> None:
        with self._connection() as connection:
            for one in objects:
                path = PATHS[one["kind"]].format(namespace=self.name)
                _expect(_request(connection, "DELETE", f"{path}/{one['metadata']['name']}"), 200)

    def names(self, kind: str) -> list[str]:
        """The names of the objects of this kind."""
        with self._connection() as connection:
            status, body = _request(connection, "GET", PATHS[kind].format(namespace=self.name))
        assert status == 200
        return [one["metadata"]["name"] for one in json.loads(body)["items"]]

    def config(self, directory: Path) -> Path:
        """A kubeconfig whose namespace is this one."""
        text = json.loads(self.kubeconfig.read_text())
        text["contexts"][0]["context"]["namespace"] = self.name
        (directory / "kubeconfig").write_text(json.dumps(text))
        return directory / "kubeconfig"

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPSConnection]:
        connection = http.client.HTTPSConnection(*self._address, timeout=60, context=self._tls)
        try:
            yield connection
        finally:
            connection.close()


def _request(
    connection: http.client.HTTPConnection, method: str, path: str, body: dict[str, Any] | None = None
) -> tuple[int, bytes]:
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": kind}
    connection.request(method, path, json.dumps(body) if body is not None else None, headers)
    response = connection.getresponse()
    return response.status, response.read()


def _expect(answer: tuple[int, bytes], status: int) -> None:
    if answer[0] != status:
        raise AssertionError(f"{answer[0]}: {answer[1].decode()}")


@contextmanager
def cluster() -> Iterator[Path]:
    """A running API; the path of its kubeconfig."""
    if shutil.which("etcd") is None:
        raise ClusterError("etcd is needed: install the package etcd-server.")
    peers.build()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dtkdns-cluster-")))
        etcd = stack.enter_context(_etcd(directory))
        yield stack.enter_context(_api_server(directory, etcd))


@contextmanager
def _etcd(directory: Path) -> Iterator[str]:
    port, peer_port = _free_ports(2)
    url = f"http://127.0.0.1:{port}"
    peer_url = f"http://127.0.0.1:{peer_port}"
    command = [
        "etcd",
        f"--data-dir={directory}/etcd",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=default={peer_url}",
        "--log-level=warn",
        "--unsafe-no-fsync",
    ]
    with _running(command, directory / "etcd.log"):
        yield url


@contextmanager
def _api_server(directory: Path, etcd: str) -> Iterator[Path]:
    (port,) = _free_ports(1)
    key = directory / "service-account.key"
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    (directory / "tokens.csv").write_text(f"{TOKEN},tests,tests,system:masters\n")
    command = [
        str(peers.kubernetes("kube-apiserver")),
        f"--etcd-servers={etcd}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={key}",
        f"--service-account-key-file={key}",
        f"--token-auth-file={directory}/tokens.csv",
        f"--cert-dir={directory}/certificates",
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=AlwaysAllow",
        "--disable-admission-plugins=ServiceAccount",
    ]
    certificate = directory / "certificates" / "apiserver.crt"
    kubeconfig = directory / "kubeconfig"
    server = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(certificate)}
    # JSON is YAML too.
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "tests",
                "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "tests"}}],
                "clusters": [{"name": "tests", "cluster": server}],
                "users": [{"name": "tests", "user": {"token": TOKEN}}],
            }
        )
    )
    with _running(command, directory / "kube-apiserver.log") as process:
        _wait_until_ready(process, port, certificate, directory / "kube-apiserver.log")
        yield kubeconfig


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, certificate: Path, log: Path) -> None:
    """Ask until the API says that it is ready: there is no other sign of it."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        try:
            tls = ssl.create_default_context(cafile=str(certificate))
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=tls)
            if _request(connection, "GET", "/readyz")[0] == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        time.sleep(0.1)
    raise ClusterError(f"kube-apiserver does not get ready:\n{log.read_text()[-4000:]}")


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as opened:
        process = subprocess.Popen(command, stdout=opened, stderr=subprocess.STDOUT, cwd=log.parent)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _free_ports(number: int) -> list[int]:
    """Ports that are free now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def main(command: Sequence[str]) -> int:
    """Run the command beside a cluster; its exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with cluster() as kubeconfig:
            path = f"{peers.kubernetes('kubectl').parent}:{os.environ['PATH']}"
            environment = os.environ | {"KUBECONFIG": str(kubeconfig), "PATH": path}
            if command:
                return subprocess.run(command, env=environment, check=False).returncode
            print(f"export KUBECONFIG={kubeconfig} PATH={path}", flush=True)
            threading.Event().wait()
    except (ClusterError, peers.BuildError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
