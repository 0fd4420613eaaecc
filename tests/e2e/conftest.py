"""Where mount namespaces are forbidden, the run says at its end what did not run."""

from __future__ import annotations

import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from functools import cache

import pytest

NOT_RUN: list[str] = []


@cache
def why_no_namespaces() -> str:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    tried = subprocess.run(["unshare", *user, "--mount", "true"], capture_output=True, text=True, check=False)
    return tried.stderr.strip() if tried.returncode else ""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("namespace") is not None and why_no_namespaces():
        if os.environ.get("DTKDNS_TEST_ALL"):
            pytest.fail(f"This needs a mount namespace: {why_no_namespaces()}")
        NOT_RUN.append(item.nodeid)
        pytest.skip(why_no_namespaces())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if NOT_RUN:
        terminalreporter.section("NOT RUN", red=True)
        terminalreporter.line(f"Mount namespaces are forbidden here ({why_no_namespaces()}). Not run:")
        for name in NOT_RUN:
            terminalreporter.line(f"  {name}")


@pytest.fixture
def web_server() -> Iterator[int]:
    """A server on this machine, as an ingress controller would be; its port."""

    class Hello(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = f"hello from {self.headers['Host']}".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()
