"""A real Chromium, what its pages try to send, and servers that serve such pages and refuse nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any

import pytest
from attrs import asdict, frozen

OPTIONS = [
    "--headless=new",
    "--no-sandbox",  # as root, and where user namespaces are forbidden
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-sync",
    # Guards of Chromium's own, which other browsers lack: what is tested is that dtkdns needs none of them.
    "--disable-features=LocalNetworkAccessChecks,HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
]
SECONDS = 30
"""Within this time a page has reported; it takes about one second."""

LET_IN = "Whoever you are, come in."

FRAME = b"""<!DOCTYPE html><link rel="icon" href="data:,">
<iframe sandbox="allow-scripts allow-forms" src="/"></iframe>"""

PAGE = """<!DOCTYPE html><link rel="icon" href="data:,"><body><script>
const orders = ORDERS;

async function fetched(attempt, url) {
  const {method, mode, credentials, media_type, body} = attempt;
  const headers = media_type ? {"Content-Type": media_type} : {};
  const bytes = method === "POST" ? new TextEncoder().encode(body) : undefined;
  try {
    const response = await fetch(url, {method, mode, credentials, headers, body: bytes});
    return {status: response.status, text: await response.text()};
  } catch (error) {
    return {status: 0, text: ""};
  }
}

function submitted(attempt, url, target) {
  const frame = document.createElement("iframe");
  const form = document.body.appendChild(document.createElement("form"));
  const field = form.appendChild(document.createElement("input"));
  const [, name, value] = attempt.body.match(/^([^=]*)=?(.*)$/);
  frame.name = form.target = target;  // before it is inserted: later, Chromium does not find it
  document.body.append(frame);
  Object.assign(form, {method: attempt.method, enctype: attempt.media_type, action: url});
  Object.assign(field, {type: "hidden", name, value});
  return new Promise(done => {
    const tell = () => done({status: 0, text: frame.contentDocument?.body?.innerText ?? ""});
    frame.onload = tell;
    setTimeout(tell, 5000);  // an answer without content loads nothing
    form.submit();
  });
}

(async () => {
  if (orders.first) await fetch(orders.first, {mode: "no-cors"});
  const answers = [];
  for (const [number, attempt] of orders.attempts.entries()) {
    const url = `${orders.base}${attempt.path}?attempt=${number}`;
    answers.push(await (attempt.form ? submitted(attempt, url, `frame${number}`) : fetched(attempt, url)));
  }
  await fetch(orders.report, {method: "POST", mode: "no-cors", body: JSON.stringify(answers)});
})();
</script>"""


@frozen
class Attempt:
    """One request that a page makes, by `fetch` or by a form of one field.

    What is before the first `=` of a form's body is the field's name, the rest its value.
    """

    method: str
    path: str
    body: str = ""
    media_type: str | None = None
    form: bool = False
    mode: str = "same-origin"
    credentials: str = "omit"


@frozen
class Answer:
    """What a page could read of the answer: 0 and an empty text where the browser gave it nothing."""

    status: int
    text: str


@frozen
class Seen:
    """A request as it arrived."""

    method: str
    uri: str
    headers: dict[str, str]
    body: bytes


class Site(ThreadingHTTPServer):
    """A server that lets everybody in, and lets every page read its answers.

    At `/` it serves a page that follows orders, at `/framed` the same page in a frame that has no origin.
    """

    def __init__(self, host: str, port: int = 0) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)
        self.port: int = self.server_address[1]
        self.pages: dict[str, bytes] = {"/framed": FRAME}
        self.requests: list[Seen] = []
        self.on_leave: Callable[[], None] = lambda: None
        """What is done, and completed, before `/leave` is answered."""
        self._reports: Queue[list[Answer]] = Queue()
        self._connections: list[socket.socket] = []
        self._open = True
        self._thread = Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()

    def order(self, base: str, attempts: Sequence[Attempt], *, report: str = "/report", first: str = "") -> None:
        """Have the page fetch `first`, make the attempts one after the other, and tell what it has read."""
        orders = {
            "base": base,
            "attempts": [asdict(attempt) for attempt in attempts],
            "report": report,
            "first": first,
        }
        self.pages["/"] = PAGE.replace("ORDERS", json.dumps(orders)).encode()

    def told(self) -> list[Answer]:
        """What the page has read, one answer for each attempt; `queue.Empty` when it does not tell in time."""
        return self._reports.get(timeout=SECONDS)

    def close(self) -> None:
        """Be gone: nobody listens any more, and no connection is left, not even one that was made ahead."""
        if not self._open:
            return
        self._open = False
        self.shutdown()
        self._thread.join()
        for connection in self._connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has ended before
                continue
        self.server_close()

    def __exit__(self, *_error: object) -> None:
        self.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that is killed breaks its connections off."""

    def answer(self, seen: Seen) -> bytes:
        """The body of the answer to a request."""
        self.requests.append(seen)
        path = seen.uri.partition("?")[0]
        if path == "/leave":
            self.on_leave()
        elif path == "/report":
            self._reports.put([Answer(**answer) for answer in json.loads(seen.body)])
        elif seen.uri in self.pages:
            return self.pages[seen.uri]
        return LET_IN.encode()


class _Handler(BaseHTTPRequestHandler):
    server: Site

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"] or 0))
        body = self.server.answer(Seen(self.command, self.path, dict(self.headers), sent))
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path in self.server.pages else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Access-Control-Allow-Origin", self.headers["Origin"] or "*")
        self.send_header("Access-Control-Allow-Credentials", "true")
        self.send_header("Access-Control-Allow-Methods", "GET, POST, DELETE")
        self.send_header("Access-Control-Allow-Headers", "content-type")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = do_OPTIONS = _answer  # noqa: N815

    def log_message(self, *_args: object) -> None:
        pass


def visit(url: str, teller: Site, directory: Path, *, resolve: str) -> list[Answer]:
    """Have Chromium open a page, until the page has told the teller what it could read.

    `resolve` are the names that lead elsewhere, as `MAP NAME ADDRESS,...`; no other name resolves.
    """
    program = shutil.which("chromium")
    if program is None:
        pytest.fail("This test needs a real browser: install Debian's package chromium.")
    home = directory / "home"
    home.mkdir()
    rules = f"{resolve},EXCLUDE 127.0.0.1,MAP * ~NOTFOUND"
    command = [program, *OPTIONS, f"--user-data-dir={home}/profile", f"--host-resolver-rules={rules}", url]
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "HOME": str(home)},
            start_new_session=True,
        )
        try:
            return teller.told()
        except Empty:
            said = (home / "log").read_text(errors="replace")
            raise AssertionError(f"The page has not reported in {SECONDS} s. Chromium says:\n{said}") from None
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
