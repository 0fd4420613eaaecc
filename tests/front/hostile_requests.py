"""Requests that must change nothing, and what is answered to each.

The statuses are those of RFC 9110 and RFC 9112, and where these leave it to the server, of the rules about who may
call. Behind every request whose length or end can be read in two ways comes a second one, `EVIL`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

from attrs import frozen

MEDIA_TYPE = b"application/external.dns.webhook+json;version=1"
WEBHOOK = b"Content-Type: " + MEDIA_TYPE
HOST = b"Host: 127.0.0.1"
CHUNKED = b"Transfer-Encoding: chunked"
CLOSED: tuple[int, ...] = ()
"""Nothing is answered: the request never becomes whole, and its connection is closed when the client leaves."""


@frozen
class Row:
    """A request, and the statuses of which the answer has one."""

    name: str
    sent: bytes
    right: tuple[int, ...]
    interim: bool = False
    """Whether `100 Continue` comes first."""
    bare: bool = False
    """Whether the answer has no body, because it is one to HEAD."""


def row(name: str, sent: bytes, *right: int) -> Row:
    return Row(name, sent, right)


def said(value: bytes) -> str:
    """Bytes as the name of a row shows them."""
    text = value if len(value) <= 60 else value[:40] + b"... of %d bytes" % len(value)
    return ascii(text.decode("latin-1"))[1:-1]


def request(line: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """A request with just these header fields."""
    return b"\r\n".join([line, *fields, b"", body])


def call(method: bytes, path: bytes, *fields: bytes, body: bytes | None = None) -> bytes:
    """A request to this machine, with its length if it has a body."""
    length = [] if body is None else [b"Content-Length: %d" % len(body)]
    return request(b"%b %b HTTP/1.1" % (method, path), HOST, *fields, *length, body=body or b"")


EVIL = call(b"POST", b"/domains", body=b"evil.io")
HARMFUL = {
    b"/domains": b"evil.io",
    b"/clusterip": b"10.6.6.6",
    b"/records": b'{"create":[{"dnsName":"evil.dtk.io","targets":["10.6.6.6"],"recordType":"A"}]}',
    b"/adjustendpoints": b"[]",
}
DELETED = (b"/domains/lab.io", b"/names/kept.dtk.io", b"/clusters/default", b"/clusters/default/names/kept.dtk.io")
READ = (b"/", b"/records", b"/domains", b"/clusterip", b"/status", b"/metrics", b"/healthz", b"/clusters/default")

# What a page in a browser can send.

FOREIGN = (
    (b"Origin: http://evil.example",),
    (b"Origin: null",),
    (b"Origin:",),
    (b"Origin: file://",),
    (b"Origin: http://127.0.0.1:8080",),
    (b"Origin: http://localhost",),
    (b"Origin: http://127.0.0.1.evil.example",),
    (b"Origin: http://evil.example/http://127.0.0.1",),
    (b"Origin: http://127.0.0.1, http://evil.example",),
    (b"Origin: http://127.0.0.1", b"Origin: http://evil.example"),
    (b"Sec-Fetch-Site: cross-site",),
    (b"Sec-Fetch-Site: same-origin", b"Sec-Fetch-Site: cross-site"),
    (b"Sec-Fetch-Site: something-new",),
    (b"Origin: http://127.0.0.1", b"Sec-Fetch-Site: cross-site"),
    (b"Origin: http://evil.example", b"Sec-Fetch-Site: same-origin"),
)
"""Header fields that tell of a page of somebody else."""
TYPES = (
    (b"Content-Type: application/x-www-form-urlencoded",),
    (b"Content-Type: text/plain",),
    (b"Content-Type: text/plain;charset=UTF-8",),
    (b"Content-Type: multipart/form-data; boundary=x",),
    (b"Content-Type: application/json",),
    (b"Content-Type:",),
    (WEBHOOK, b"Content-Type: text/plain"),
    (),
)


def multipart(body: bytes) -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n%b\r\n--x--\r\n' % body


def of_pages() -> Iterator[Row]:
    for path, marks in product(HARMFUL, FOREIGN):
        sent = call(b"POST", path, *marks, TYPES[1][0], body=HARMFUL[path])
        yield row(f"POST {said(path)}, {said(b', '.join(marks))}", sent, 403)
    for path, types in product(HARMFUL, TYPES):
        body = multipart(HARMFUL[path]) if b"multipart" in b"".join(types) else HARMFUL[path]
        name = f"POST {said(path)}, {said(b', '.join(types)) or 'no Content-Type'}"
        yield row(f"{name}, of another page", call(b"POST", path, FOREIGN[0][0], *types, body=body), 403)
        if path in {b"/records", b"/adjustendpoints"}:
            yield row(name, call(b"POST", path, *types, body=body), 415)
    for path in (b"/domains", b"/clusterip"):
        sent = call(b"POST", path, b"Content-Type: multipart/form-data; boundary=x", body=multipart(HARMFUL[path]))
        yield row(f"POST {said(path)}, a form that is no address or domain", sent, 400)
    same_site = (b"Sec-Fetch-Site: same-site",)
    for path, marks in product(DELETED, (*FOREIGN, same_site)):
        yield row(f"DELETE {said(path)}, {said(b', '.join(marks))}", call(b"DELETE", path, *marks), 403)
    for path, body in HARMFUL.items():
        sent = call(b"POST", path, *same_site, WEBHOOK, body=body)
        yield row(f"POST {said(path)}, {said(same_site[0])}", sent, 403)
    for path in READ:
        for marks in (FOREIGN[0], FOREIGN[1], FOREIGN[10]):
            yield row(f"GET {said(path)}, {said(marks[0])}", call(b"GET", path, *marks), 403)
        yield row(f"GET {said(path)}, {said(same_site[0])}", call(b"GET", path, *same_site), 200)
    asked = (b"Access-Control-Request-Method: POST", b"Access-Control-Request-Headers: content-type")
    for path in (*HARMFUL, *DELETED):
        sent = call(b"OPTIONS", path, FOREIGN[0][0], *asked)
        yield row(f"OPTIONS {said(path)}, a page asks first", sent, 403)
        sent = call(b"OPTIONS", path, FOREIGN[0][0], *asked, b"Access-Control-Request-Private-Network: true")
        yield row(f"OPTIONS {said(path)}, a page asks for a private network", sent, 403)


# Which host is meant.


def to(host: bytes | None, method: bytes, path: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    lines = [] if host is None else [b"Host: " + host]
    return request(
        b"%b %b HTTP/1.1" % (method, path), *lines, *fields, b"Content-Length: %d" % len(body), body=body
    )


ELSEWHERE = (
    b"evil.example",
    b"evil.example:5000",
    b"EVIL.example.",
    b"dtk.io",
    b"kept.dtk.io",
    b"kept.dtk.io:5000",
    b"127.0.0.1.evil.example",
    b"localhost.evil.example",
    b"127.1",
    b"2130706433",
    b"0x7f.0.0.1",
    b"999.0.0.1",
)
HERE = (
    b"127.0.0.1",
    b"127.0.0.1:5000",
    b"127.0.0.1:",
    b"192.0.2.77:80",
    b"[::1]",
    b"[::1]:5000",
    b"[::ffff:127.0.0.1]",
    b"localhost",
    b"LocalHost:5000",
    b"localhost.",
)
"""That an address is not this machine's does no harm: no name led to it."""
NO_HOST = (
    b"",
    b":5000",
    b"a b",
    b"a/b",
    b"a\\b",
    b"a@127.0.0.1",
    b"http://127.0.0.1",
    b"<script>",
    b"127.0.0.1:x",
    b"127.0.0.1:-1",
    b"127.0.0.1:80:80",
    b"[::1",
    b"::1",
    b"[::::]",
    b"[evil.example]",
    b"[::1]evil.example",
    b"127.0.0.1, evil.example",
    b"127.0.0.1\x7f",
    b"\xe9vil.example",
)


def of_hosts() -> Iterator[Row]:
    for host in ELSEWHERE:
        for path in (b"/domains", b"/clusterip", b"/status", b"/clusters/default/domains"):
            yield row(f"GET {said(path)} of {said(host)}", to(host, b"GET", path), 421)
        for path in (b"/domains", b"/clusterip"):
            yield row(f"POST {said(path)} of {said(host)}", to(host, b"POST", path, body=HARMFUL[path]), 421)
    for path in DELETED:
        yield row(f"DELETE {said(path)} of evil.example", to(b"evil.example", b"DELETE", path), 421)
    for path in (b"/", b"/records", b"/clusters/default", b"/healthz", b"/readyz", b"/metrics"):
        yield row(f"GET {said(path)} of evil.example", to(b"evil.example", b"GET", path), 200)
        for mark in (b"Referer: http://evil.example/", b"Accept-Language: en", b"Sec-Fetch-Site: same-origin"):
            sent = to(b"evil.example", b"GET", path, mark)
            yield row(f"GET {said(path)} of evil.example, {said(mark)}", sent, 421)
        sent = to(b"evil.example", b"GET", path, b"Origin: http://evil.example")
        yield row(f"GET {said(path)} of evil.example, which is its Origin", sent, 421)
    for path, mark in product(
        (b"/records", b"/adjustendpoints"), (b"Origin: http://evil.example", b"Accept-Language: en")
    ):
        sent = to(b"evil.example", b"POST", path, WEBHOOK, mark, body=HARMFUL[path])
        yield row(f"POST {said(path)} of evil.example, {said(mark)}", sent, 421)
    sent = to(b"evil.example", b"POST", b"/adjustendpoints", WEBHOOK, body=b"[]")
    yield row("POST /adjustendpoints of evil.example, as external-dns sends it", sent, 200)
    sent = to(b"evil.example", b"POST", b"/records", WEBHOOK, body=b"{}")
    yield row("POST /records of evil.example, as external-dns sends it", sent, 204)
    for host in HERE:
        yield row(f"GET /domains of {said(host)}", to(host, b"GET", b"/domains"), 200)
    for host, path in product(NO_HOST, (b"/domains", b"/records")):
        yield row(f"GET {said(path)} of the host '{said(host)}'", to(host, b"GET", path), 400)
    for second in (b"Host: 127.0.0.1", b"host: evil.example", b"HOST:"):
        yield row(f"a second field {said(second)}", request(b"GET /domains HTTP/1.1", HOST, second), 400)
    yield row("no Host in HTTP/1.1", request(b"GET /healthz HTTP/1.1"), 400)
    yield row("no Host in HTTP/1.0", request(b"GET /healthz HTTP/1.0"), 200)
    yield row("two Hosts in HTTP/1.0", request(b"GET /healthz HTTP/1.0", HOST, HOST), 400)
    yield row(
        "GET /domains of evil.example in HTTP/1.0", request(b"GET /domains HTTP/1.0", b"Host: evil.example"), 421
    )
    for field in (b"X-Forwarded-Host: 127.0.0.1", b"Forwarded: host=127.0.0.1", b"X-Host: 127.0.0.1"):
        sent = to(b"evil.example", b"POST", b"/domains", field, body=b"evil.io")
        yield row(f"POST /domains of evil.example, {said(field)}", sent, 421)


# What is asked for, and in which version.

TLS_HELLO = bytes.fromhex("16030100a5010000a10303") + bytes(range(40, 72)) + b"\x00\x00\x04\x13\x01\x13\x02"


def of_request_lines() -> Iterator[Row]:
    for target in (
        b"http://127.0.0.1/domains",
        b"http://evil.example/domains",
        b"https://127.0.0.1/domains",
        b"HTTP://127.0.0.1",
        b"urn:x",
        b"127.0.0.1:5000",
        b"*",
        b"domains",
        b"?",
        b"\\domains",
    ):
        for method in (b"GET", b"POST", b"DELETE"):
            yield row(f"{said(method)} {said(target)}", call(method, target, body=b"evil.io"), 400)
    yield row("OPTIONS *", call(b"OPTIONS", b"*"), 400, 405, 501)
    for target in (b"127.0.0.1:5000", b"evil.example:443", b"/domains"):
        yield row(f"CONNECT {said(target)}", call(b"CONNECT", target), 400, 405, 501)
    for method in (b"PUT", b"PATCH", b"TRACE", b"OPTIONS"):
        for path in (b"/", b"/domains", b"/records", b"/clusters/default", b"/names/kept.dtk.io"):
            yield row(f"{said(method)} {said(path)}", call(method, path, body=HARMFUL[b"/domains"]), 405)
    for method, path in (
        (b"DELETE", b"/"),
        (b"DELETE", b"/domains"),
        (b"DELETE", b"/records"),
        (b"DELETE", b"/clusterip"),
        (b"POST", b"/"),
        (b"POST", b"/healthz"),
        (b"POST", b"/status"),
        (b"POST", b"/clusters/default"),
        (b"GET", b"/adjustendpoints"),
        (b"GET", b"/names/kept.dtk.io"),
        (b"GET", b"/domains/dtk.io"),
    ):
        yield row(f"{said(method)} {said(path)}", call(method, path), 405)
    for method in (b"BREW", b"PROPFIND", b"PRI", b"A" * 500, b"!#$%&'*+-.^_`|~", b"0"):
        yield row(f"the method {said(method)}", call(method, b"/domains", body=b"evil.io"), 400, 405, 501)
    for method in (b"get", b"Post", b"post", b"delete"):
        yield row(f"the method {said(method)}", call(method, b"/domains", body=b"evil.io"), 400, 405, 501)
    for method in (b"", b"G T", b"G\x00T", b"G@T", b"G(T", b'"GET"', b"GET:", b"G\xe9T", b"G\tT", b"\x0bGET"):
        yield row(f"the method '{said(method)}'", call(method, b"/healthz", body=EVIL), 400)
    for line in (
        b"GET /healthz",
        b"GET",
        b"GET ",
        b"GET  /healthz HTTP/1.1",
        b"GET /healthz  HTTP/1.1",
        b"GET /healthz HTTP/1.1 ",
        b" GET /healthz HTTP/1.1",
        b"\tGET /healthz HTTP/1.1",
        b"GET\t/healthz\tHTTP/1.1",
        b"GET\x0b/healthz\x0cHTTP/1.1",
        b"GET /healthz HTTP/1.1 HTTP/1.1",
        b"GET /healthz HTTP/1.1\r",
        b"GET /healthz\r HTTP/1.1",
        b"GET /heal\rthz HTTP/1.1",
        b"GET /heal\nthz HTTP/1.1",
        b"GET /heal\x00thz HTTP/1.1",
        b"GET /heal\x01thz HTTP/1.1",
        b"GET /heal\x7fthz HTTP/1.1",
        b"GET /heal\tthz HTTP/1.1",
        b"GET /heal\xc3\xa9thz HTTP/1.1",
        b"GET /healthz?\xb0 HTTP/1.1",
        b"GET /healthz http/1.1",
        b"GET /healthz HTTP/1",
        b"GET /healthz HTTP/1.",
        b"GET /healthz HTTP/.1",
        b"GET /healthz HTTP/1.10",
        b"GET /healthz HTTP/01.1",
        b"GET /healthz HTTP/1.1.1",
        b"GET /healthz HTTP/+1.1",
        b"GET /healthz HTTP/1,1",
        b"GET /healthz HTTPS/1.1",
        b"GET /healthz ICY/1.1",
        b"GET /healthz HTTP 1.1",
        b"GET /healthz HTTP/1.\xb9",
    ):
        yield row(f"the request line '{said(line)}'", request(line, HOST, body=EVIL), 400)
    for version in (b"HTTP/0.9", b"HTTP/2.0", b"HTTP/3.0", b"HTTP/9.9"):
        yield row(f"the version {said(version)}", request(b"GET /healthz " + version, HOST, body=EVIL), 400, 505)
    yield row("the version HTTP/1.2", request(b"GET /healthz HTTP/1.2", HOST), 200, 400, 505)
    yield row("a request of HTTP/0.9", b"GET /healthz\r\n", 400)
    yield row("a request of HTTP/0.9 that would change something", b"POST /domains\r\n\r\nevil.io", 400)
    yield row("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0", 400, 505)
    yield row("a TLS client that says hello", TLS_HELLO, *CLOSED)
    yield row("a TLS client that says hello, with an end of line", TLS_HELLO + b"\r\n\r\n", 400)
    yield row("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", 400)
    yield row("a greeting of SMTP", b"EHLO evil.example\r\nMAIL FROM:<a@evil.example>\r\n", 400)
    yield row("the start of a proxy's protocol", b"PROXY TCP4 127.0.0.1 127.0.0.1 1 1\r\n" + EVIL, 400)
    yield row("an empty line before the request", b"\r\n" + call(b"GET", b"/healthz"), 200)
    yield row("nothing at all", b"", *CLOSED)
    yield row("empty lines alone", b"\r\n" * 3, 400)
    yield row("NUL bytes", bytes(100), *CLOSED)


# A second request inside a first one.


def post(*fields: bytes, body: bytes) -> bytes:
    """A POST whose length is given by these fields, or by none."""
    return request(b"POST /adjustendpoints HTTP/1.1", HOST, WEBHOOK, *fields, body=body)


NO_CHUNKS = b"0\r\n\r\n" + EVIL


def of_lengths() -> Iterator[Row]:
    whole = b"Content-Length: %d" % len(NO_CHUNKS)
    for name, fields in (
        ("a length of nothing, then chunks", (b"Content-Length: 0", CHUNKED)),
        ("a length of a part, then chunks", (b"Content-Length: 5", CHUNKED)),
        ("a length of all, then chunks", (whole, CHUNKED)),
        ("chunks, then a length of nothing", (CHUNKED, b"Content-Length: 0")),
        ("chunks, then a length of a part", (CHUNKED, b"Content-Length: 5")),
        ("chunks, then a length of all", (CHUNKED, whole)),
        ("chunks, then a length that is none", (CHUNKED, b"Content-Length: x")),
        ("chunks beside a length, in other letters", (b"CONTENT-length: 5", b"transfer-ENCODING: CHUNKED")),
        ("the same length twice", (b"Content-Length: 5", b"Content-Length: 5")),
        ("two lengths", (b"Content-Length: 5", whole)),
        ("two lengths, the longer first", (whole, b"Content-Length: 5")),
        ("a length, then an empty one", (b"Content-Length: 5", b"Content-Length:")),
        ("no chunks, beside a length", (b"Transfer-Encoding: identity", b"Content-Length: 5")),
        ("a length, beside no chunks", (b"Content-Length: 5", b"Transfer-Encoding: identity")),
    ):
        yield row(name, post(*fields, body=NO_CHUNKS), 400)
    for length in (
        b"",
        b"0x10",
        b"0x5",
        b"+5",
        b"-1",
        b"-0",
        b"5,5",
        b"5, 5",
        b" 5 5",
        b"5;5",
        b"5.0",
        b"5e0",
        b"5_0",
        b"5L",
        b'"5"',
        b"5\x00",
        b"5\x0b",
        b"\x0c5",
        b"5\x85",
        b"\xd9\xa5",
        b"\xb2",
        b"five",
        b"true",
    ):
        yield row(f"the length '{said(length)}'", post(b"Content-Length: " + length, body=NO_CHUNKS), 400)
    for length in (b"9" * 10, b"1" + b"0" * 19, b"9" * 100, b"9" * 5000):
        sent = post(b"Content-Length: " + length, body=NO_CHUNKS)
        yield row(f"the length '{said(length)}'", sent, 400, 413)
    for field in (
        b"Content-Length : 5",
        b"Content-Length\t: 5",
        b"Content-Length\x0b: 5",
        b"Content-Length\x00: 5",
        b"Content Length: 5",
        b"\xefContent-Length: 5",
        b" Content-Length: 5",
        b"\tContent-Length: 5",
        b"Content-Length:\r\n 5",
        b"Content-Length: 5\r\n 5",
        b"Content-Length: 5\n",
        b"Content-Length: 5\r",
        b"X: x\nContent-Length: 5",
        b"X: x\rContent-Length: 5",
        b"X: x\n\rContent-Length: 5",
        b"\rContent-Length: 5",
        b"\nContent-Length: 5",
        b"Content-Length",
        b"Content-Length 5",
        b"Content-Length=5",
        b"Content-Length;: 5",
        b"Content-Length,X: 5",
        b'"Content-Length": 5',
        b"(x)Content-Length: 5",
    ):
        yield row(f"the field '{said(field)}'", post(field, body=NO_CHUNKS), 400)
    for path in (b"/records", b"/domains", b"/healthz", b"/"):
        yield row(f"GET {said(path)} with a body", call(b"GET", path, body=EVIL), 200)
        sent = call(b"GET", path, CHUNKED) + chunk(EVIL) + b"0\r\n\r\n"
        yield row(f"GET {said(path)} with a body in chunks", sent, 200)
    sent = call(b"HEAD", b"/domains", body=EVIL)
    yield Row("HEAD /domains with a body", sent, (200,), bare=True)
    sent = call(b"DELETE", b"/names/nobody.dtk.io", body=EVIL)
    yield row("DELETE of what is not there, with a body", sent, 404)
    sent = post(b"Content_Length: 5", b"Transfer_Encoding: chunked", whole, body=NO_CHUNKS)
    yield row("fields that only look like those of a length", sent, 400)
    sent = post(b"Content-Length:\t 00000002 \t", body=b"[]")
    yield row("a length with noughts and blanks around it", sent, 200)
    sent = request(b"POST /adjustendpoints HTTP/1.0", HOST, WEBHOOK, b"Content-Length: 2", body=b"[]" + EVIL)
    yield row("more than its length in HTTP/1.0", sent, 200)
    for field in (b"close", b"Close", b"close, x", b"close,x", b"x, close", b"x,close", b"x\r\nConnection: close"):
        sent = post(b"Connection: " + field, b"Content-Length: 2", body=b"[]" + EVIL)
        yield row(f"a request behind 'Connection: {said(field)}'", sent, 200)
    sent = call(
        b"GET", b"/healthz", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMA"
    )
    yield row("a change of the protocol to HTTP/2", sent, 200)
    sent = call(b"GET", b"/healthz", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13")
    yield row("a change of the protocol to WebSocket", sent, 200)
    for field in (b"X-HTTP-Method-Override: DELETE", b"X-HTTP-Method: POST", b"X-Method-Override: POST"):
        yield row(f"GET /domains, {said(field)}", call(b"GET", b"/domains", field, body=b"evil.io"), 200)
    for field in (b"X-Original-URL: /domains", b"X-Rewrite-URL: /domains", b"X-Forwarded-Prefix: /domains"):
        yield row(f"POST /, {said(field)}", call(b"POST", b"/", field, body=b"evil.io"), 405)


def of_codings() -> Iterator[Row]:
    for coding in (
        b"",
        b"identity",
        b"identity, chunked",
        b"chunked, identity",
        b"chunked, chunked",
        b"chunked,",
        b",chunked",
        b"chunked;",
        b"chunked;q=1",
        b"chunked x",
        b"chunked\x00",
        b"chunked\x0b",
        b"\x0bchunked",
        b"chunked\x0c",
        b"\x0cchunked",
        b"chunked\x85",
        b"chunked\xa0",
        b"xchunked",
        b"chunkedx",
        b"chunk",
        b'"chunked"',
        b"'chunked'",
        b"[chunked]",
        b"\xc4\xb0chunked",
        b"chun\xe2\x84\xaaed",
        b"gzip",
        b"gzip, chunked",
        b"deflate",
        b"cow",
    ):
        field = b"Transfer-Encoding: " + coding
        yield row(f"the coding '{said(coding)}'", post(field, body=NO_CHUNKS), 400, 501)
        sent = post(b"Content-Length: %d" % len(NO_CHUNKS), field, body=NO_CHUNKS)
        yield row(f"the coding '{said(coding)}' beside a length", sent, 400, 501)
    sent = post(CHUNKED, CHUNKED, body=NO_CHUNKS)
    yield row("chunked twice, in two fields", sent, 400, 501)
    for second in (b"identity", b"cow", b""):
        for fields in permutations((CHUNKED, b"Transfer-Encoding: " + second)):
            name = f"the fields '{said(b', '.join(fields))}'"
            yield row(name, post(*fields, body=NO_CHUNKS), 400, 501)
    for field in (
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding\t: chunked",
        b"Transfer-Encoding\x0b: chunked",
        b"Transfer-Encoding\x00: chunked",
        b"Transfer Encoding: chunked",
        b" Transfer-Encoding: chunked",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding: chunked\r\n x",
        b"Transfer-Encoding: x\r\n\tchunked",
        b"Transfer-Encoding: chunked\r",
        b"Transfer-Encoding: chunked\n",
        b"Transfer-Encoding:\n chunked",
        b"Transfer-Encoding:\rchunked",
        b"X: x\nTransfer-Encoding: chunked",
        b"X: x\rTransfer-Encoding: chunked",
        b"Transfer-Encoding",
        b"Transfer-Encoding chunked",
        b"\x00Transfer-Encoding: chunked",
        b"Transfer-\xadEncoding: chunked",
    ):
        yield row(f"the field '{said(field)}'", post(field, body=NO_CHUNKS), 400)
        sent = post(b"Content-Length: %d" % len(NO_CHUNKS), field, body=NO_CHUNKS)
        yield row(f"the field '{said(field)}' beside a length", sent, 400)
    old = request(b"POST /adjustendpoints HTTP/1.0", HOST, WEBHOOK, CHUNKED, body=NO_CHUNKS)
    yield row("chunks in HTTP/1.0", old, 400)
    yield row("a request behind one whose version is old", request(b"GET /healthz HTTP/1.0", body=EVIL), 200)
    keep = request(b"GET /healthz HTTP/1.0", HOST, b"Connection: close", body=EVIL)
    yield row("a request behind one that closes", keep, 200)
    for coding in (b"chunked", b"Chunked", b"\tchunked", b"chunked \t"):
        sent = post(b"Transfer-Encoding:" + coding, body=chunk(b"[]") + b"0\r\n\r\n")
        yield row(f"the coding '{said(coding)}', which is right", sent, 200)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def of_chunks() -> Iterator[Row]:
    for chunks in (
        b"0x2\r\n[]\r\n0\r\n\r\n",
        b"0X2\r\n[]\r\n0\r\n\r\n",
        b"-2\r\n[]\r\n0\r\n\r\n",
        b"+2\r\n[]\r\n0\r\n\r\n",
        b" 2\r\n[]\r\n0\r\n\r\n",
        b"2 \r\n[]\r\n0\r\n\r\n",
        b"\t2\r\n[]\r\n0\r\n\r\n",
        b"2\t\r\n[]\r\n0\r\n\r\n",
        b"2\x0b\r\n[]\r\n0\r\n\r\n",
        b"2_\r\n[]\r\n0\r\n\r\n",
        b"0_2\r\n[]\r\n0\r\n\r\n",
        b"2,2\r\n[]\r\n0\r\n\r\n",
        b"2.0\r\n[]\r\n0\r\n\r\n",
        b"2h\r\n[]\r\n0\r\n\r\n",
        b"G\r\n[]\r\n0\r\n\r\n",
        b"two\r\n[]\r\n0\r\n\r\n",
        b"\x00\r\n[]\r\n0\r\n\r\n",
        b"2\x00\r\n[]\r\n0\r\n\r\n",
        b"\xb2\r\n[]\r\n0\r\n\r\n",
        b"\r\n[]\r\n0\r\n\r\n",
        b"\r\n2\r\n[]\r\n0\r\n\r\n",
        b"\n2\r\n[]\r\n0\r\n\r\n",
        b";\r\n[]\r\n0\r\n\r\n",
        b";x=2\r\n[]\r\n0\r\n\r\n",
        b"2\n[]\n0\n\n",
        b"2\n[]\r\n0\r\n\r\n",
        b"2\r[]\r\n0\r\n\r\n",
        b"2\r\r\n[]\r\n0\r\n\r\n",
        b"2\r\n[]\n0\r\n\r\n",
        b"2\r\n[]\r0\r\n\r\n",
        b"2\r\n[]\n\r0\r\n\r\n",
        b"2\r\n[]0\r\n\r\n",
        b"2\r\n[]  0\r\n\r\n",
        b"1\r\n[]\r\n0\r\n\r\n",
        b"3\r\n[]\r\n0\r\n\r\n",
        b"2\r\n[]\r\n-0\r\n\r\n",
        b"2\r\n[]\r\n0x0\r\n\r\n",
        b"2\r\n[]\r\n0 \r\n\r\n",
        b"2;\n\r\n[]\r\n0\r\n\r\n",
        b"2;a\nb\r\n[]\r\n0\r\n\r\n",
        b"2;a\rb\r\n[]\r\n0\r\n\r\n",
        b"2;a\x00b\r\n[]\r\n0\r\n\r\n",
        b"2;a=\x7f\r\n[]\r\n0\r\n\r\n",
        b"2 ; a = b\r\n[]\r\n0\r\n\r\n",
        b"2;a=" + b"x" * 5000 + b"\r\n[]\r\n0\r\n\r\n",
        b"0" * 5000 + b"2\r\n[]\r\n0\r\n\r\n",
    ):
        yield row(f"the chunks '{said(chunks)}'", post(CHUNKED, body=chunks + EVIL), 400)
    for size in (b"7fffffff", b"80000000", b"ffffffff", b"7fffffffffffffff", b"ffffffffffffffff", b"f" * 200):
        sent = post(CHUNKED, body=size + b"\r\n[]\r\n0\r\n\r\n" + EVIL)
        yield row(f"a chunk of {said(size)} bytes that does not come", sent, *CLOSED)
    yield row("chunks without an end", post(CHUNKED, body=chunk(EVIL) * 3), *CLOSED)
    yield row("a last chunk without an end", post(CHUNKED, body=chunk(b"[]") + b"0\r\n"), *CLOSED)
    many = b"".join(b"X-%d: x\r\n" % number for number in range(20000))
    yield row("trailers of 200 KB", post(CHUNKED, body=chunk(b"[]") + b"0\r\n" + many + b"\r\n" + EVIL), 400, 431)
    long = b"X: " + b"x" * 200000 + b"\r\n"
    yield row("a trailer of 200 KB", post(CHUNKED, body=chunk(b"[]") + b"0\r\n" + long + b"\r\n" + EVIL), 400, 431)
    for trailer in (
        b"Host: evil.example",
        b"Content-Length: %d" % len(EVIL),
        b"Content-Length: 0",
        CHUNKED,
        b"Connection: close",
        b"Origin: http://127.0.0.1",
        b"Authorization: Basic eA==",
        b"Content-Type: text/plain",
        b"nonsense",
        b"nonsense\r\nPOST /domains HTTP/1.1",
        b": x",
        b"X : x",
        b"X: x\r\n folded",
        b"X: a\x00b",
        b"X: a\nHost: evil.example",
        b"X: a\rb",
        b"X\x00: a",
        EVIL.partition(b"\r\n\r\n")[0],
    ):
        sent = post(CHUNKED, body=chunk(b"[]") + b"0\r\n" + trailer + b"\r\n\r\n")
        yield row(f"the trailer '{said(trailer)}', which nobody reads", sent, 200)
    sent = (
        call(b"POST", b"/domains", FOREIGN[0][0], CHUNKED)
        + chunk(b"evil.io")
        + b"0\r\n"
        + b"Origin: http://127.0.0.1\r\n\r\n"
    )
    yield row("a trailer that takes back where a page comes from", sent, 403)
    for chunks in (
        b"2;ext\r\n[]\r\n0\r\n\r\n",
        b'2;a=b;c="d e"\r\n[]\r\n0;end\r\n\r\n',
        b"2;\xff=1\r\n[]\r\n0\r\n\r\n",
        b"002\r\n[]\r\n000\r\n\r\n",
        b"1\r\n[\r\n1\r\n]\r\n0\r\n\r\n",
    ):
        yield row(f"the chunks '{said(chunks)}', of which the size counts", post(CHUNKED, body=chunks), 200)


# Header fields.


def of_fields() -> Iterator[Row]:
    for field in (
        b": x",
        b":",
        b" : x",
        b"nonsense",
        b"X",
        b"X x",
        b"X : x",
        b"X\t: x",
        b" X: x",
        b"\tX: x",
        b"X: x\r\n y",
        b"X: x\r\n\ty",
        b"X:\r\n ",
        b"X\x00: x",
        b"X\x01: x",
        b"X\x7f: x",
        b"X\xe9: x",
        b"X(: x",
        b"X/: x",
        b"X[]: x",
        b'"X": x',
        b"X@Y: x",
        b"X{}: x",
        b"X: a\x00b",
        b"X: \x00",
        b"X: a\rb",
        b"X: a\r",
        b"X: a\nb",
        b"X: a\nHost: evil.example",
        b"X: a\n",
        b"\nX: a",
        b"\rX: a",
    ):
        yield row(f"the field '{said(field)}'", call(b"GET", b"/healthz", field) + EVIL, 400)
        sent = request(b"GET /healthz HTTP/1.1", field, HOST, body=EVIL)
        yield row(f"the field '{said(field)}' first", sent, 400)
    for value in (
        b"\x01",
        b"a\x1bb",
        b"\x7f",
        b"\xff\xfe",
        b"",
        b"\t",
        b"a\tb",
        b"%00",
        b"${jndi:ldap://x}",
        b"\x08",
    ):
        yield row(f"a value '{said(value)}'", call(b"GET", b"/healthz", b"X: " + value), 200, 400)
    many = [b"X-%d: x" % number for number in range(501)]
    yield row("500 fields", call(b"GET", b"/healthz", *many[:499]), 200)
    yield row("more than 500 fields", call(b"GET", b"/healthz", *many) + EVIL, 431)
    yield row("the same field 1,000 times", call(b"GET", b"/healthz", *[b"X: x"] * 1000) + EVIL, 431)
    many = [b"X-%d: %b" % (number, b"x" * 1000) for number in range(20)]
    yield row("fields of 20 KB", call(b"GET", b"/healthz", *many) + EVIL, 431)
    for size in (16384, 20000, 100000, 1000000):
        sent = call(b"GET", b"/healthz", b"X: " + b"x" * size) + EVIL
        yield row(f"a field of {size} bytes", sent, 431)
    sent = call(b"GET", b"/healthz", b"X" * 20000 + b": x") + EVIL
    yield row("a field with a name of 20 KB", sent, 431)
    yield row("a field of 20 KB without an end", call(b"GET", b"/healthz")[:-2] + b"X: " + b"x" * 20000, 431)
    yield row("lines of LF alone", b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\n\n", *CLOSED)
    sent = EVIL.replace(b"\r\n", b"\n")
    yield row("a change in lines of LF alone", sent, *CLOSED)
    yield row("lines of CR alone", EVIL.replace(b"\r\n", b"\r"), *CLOSED)
    yield row("lines of LF CR", EVIL.replace(b"\r\n", b"\n\r"), 400)
    yield row("LF alone behind the head", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\n" + EVIL, 400)
    yield row("LF alone behind a request line", b"GET /healthz HTTP/1.1\nHost: 127.0.0.1\r\n\r\n" + EVIL, 400)
    yield row("a head without an end", EVIL.partition(b"\r\n\r\n")[0], *CLOSED)
    yield row("a body that is shorter than its length", EVIL[:-1], *CLOSED)


# How much, and whether to send it.

SMALL, LARGE = 4096, 64 * 1024 * 1024
"""Bytes that the body of a call may have: of most, and of those that carry records."""


def of_sizes() -> Iterator[Row]:
    waits = b"Expect: 100-continue"
    for path, most in (
        (b"/domains", SMALL),
        (b"/clusterip", SMALL),
        (b"/healthz", SMALL),
        (b"/nothing", SMALL),
        (b"/records/x", SMALL),
        (b"/records", LARGE),
        (b"/adjustendpoints", LARGE),
        (b"/clusters/default/records", LARGE),
    ):
        length = b"Content-Length: %d" % (most + 1)
        yield row(f"a body of {most + 1} for {said(path)}", call(b"POST", path, length, WEBHOOK), 413)
        sent = call(b"POST", path, length, WEBHOOK, waits)
        yield row(f"a body of {most + 1} for {said(path)}, that waits", sent, 413)
    for path in (b"/domains", b"/clusterip", b"/healthz", b"/nothing"):
        chunks = chunk(b"x" * 1000) * 6
        sent = call(b"POST", path, CHUNKED) + chunks
        yield row(f"chunks for {said(path)} that become too many", sent, 413)
        sent = call(b"POST", path, CHUNKED) + b"ffffff\r\n" + b"x" * (SMALL + 1)
        yield row(f"a chunk for {said(path)} that becomes too large", sent, 413)
        sent = call(b"POST", path, CHUNKED) + chunks + b"0\r\n\r\n" + EVIL
        yield row(f"chunks for {said(path)} that were too many", sent, 413)
    for mark in FOREIGN[0]:
        sent = call(b"POST", b"/domains", mark, waits, b"Content-Length: 7")
        yield row("a body of another page, that waits", sent, 403)
    sent = request(b"POST /domains HTTP/1.1", waits, b"Content-Length: 7")
    yield row("a body for no host, that waits", sent, 400)
    sent = call(b"POST", b"/../domains", waits, b"Content-Length: 7")
    yield row("a body for no path, that waits", sent, 404)
    sent = call(b"POST", b"/domains", waits, b"Content-Length: 7", CHUNKED)
    yield row("a body with two lengths, that waits", sent, 400)
    sent = request(b"POST /adjustendpoints HTTP/1.0", HOST, WEBHOOK, waits, b"Content-Length: 2", body=b"[]")
    yield row("a body that waits in HTTP/1.0", sent, 200)
    for value in (b"200-ok", b"100-continue-please", b"x=y", b""):
        sent = post(b"Expect: " + value, b"Content-Length: 2", body=b"[]")
        yield row(f"the expectation '{said(value)}'", sent, 200, 417)
    sent = post(waits, b"Content-Length: 2", body=b"[]")
    yield Row("a body that waits, and may come", sent, (200,), interim=True)
    sent = post(b"Expect: 100-Continue", CHUNKED, body=chunk(b"[]") + b"0\r\n\r\n")
    yield Row("chunks that wait, and may come", sent, (200,), interim=True)
    sent = call(b"POST", b"/domains", body=b"x" * SMALL)
    yield row("a body of just the limit that is no domain", sent, 400)


# Paths.

LANDS_ON = {
    b"/domains": b"/domains",
    b"/domains/": b"/domains",
    b"/domains//": b"/domains",
    b"//domains": b"/domains",
    b"///domains": b"/domains",
    b"/domains?": b"/domains",
    b"/domains?x=/../y": b"/domains",
    b"/domains?%zz": b"/domains",
    b"/clusters/default/domains": b"/domains",
    b"/clusters//default//domains": b"/domains",
    b"/records": b"/records",
    b"/records/?x=1": b"/records",
    b"/clusters/default/records": b"/records",
    b"/clusters/%64efault/records": b"/records",
    b"/clusters/default/%72ecords": b"/records",
    b"/%64omains": b"/domains",
}
"""Spellings of two paths; what needs no quoting means the same when it is quoted (RFC 3986, section 6.2.2.2)."""
NOWHERE = (
    b"/..",
    b"/../domains",
    b"/./domains",
    b"/domains/.",
    b"/domains/..",
    b"/names/..",
    b"/x/../domains",
    b"/clusters/../records",
    b"/clusters/../domains",
    b"/clusters/./records",
    b"/clusters/default/../../domains",
    b"/%2e%2e/domains",
    b"/%2e/domains",
    b"/.%2e/domains",
    b"/clusters/%2e%2e/domains",
    b"/clusters/%2E%2E/records",
    b"/clusters/default/%2e%2e/domains",
    b"/.../domains",
    b"/%2fdomains",
    b"/clusters%2fdefault/domains",
    b"/clusters/default%2fdomains",
    b"/clusters/default%2Frecords",
    b"/clusters/default%5crecords",
    b"/domains%2f",
    b"/domains%00",
    b"/%00/domains",
    b"/clusters/%00/domains",
    b"/domains%0a",
    b"/domains%0d%0aX:%20x",
    b"/domains%7f",
    b"/domains%20",
    b"/domains%09",
    b"/%ff",
    b"/domains%ff",
    b"/%c0%ae%c0%ae/domains",
    b"/%c0%af/domains",
    b"/%ed%a0%80",
    b"/clusters/%ff/domains",
    b"/\x80",
    b"/domains;",
    b"/domains;x=y",
    b"/;/domains",
    b"/clusters/default;x/domains",
    b"/domains%3fx",
    b"/domains%23x",
    b"/domains%",
    b"/%",
    b"/%zz",
    b"/domains%2",
    b"/clusters/%zz/domains",
    b"/DOMAINS",
    b"/Domains",
    b"/Clusters/default/domains",
    b"/clusters/DEFAULT/domains",
    b"/domains.json",
    b"/domains/x/y",
    b"/domains\\",
    b"/\\domains",
    b"/..\\domains",
    b"/clusters",
    b"/clusters/",
    b"/clusters/de%66ault%00/domains",
    b"/clusters/%2564efault/domains",
    b"/%2564omains",
    b"/%252e%252e/domains",
    b"/clusters/a_b/domains",
    b"/clusters/a.b/domains",
    b"/clusters/%20/domains",
    b"/clusters/" + b"a" * 64 + b"/domains",
    b"/clusters/\xb0/domains",
    b"/http://127.0.0.1/domains",
    b"//evil.example/domains",
    b"/{domains}",
    b"/<script>alert(1)</script>",
    b"/%3cscript%3ealert(1)%3c/script%3e",
    b"/etc/hosts",
    b"/.git/config",
    b"/static/../../../etc/passwd",
    b"/index.php",
    b"/favicon.ico",
    b"/robots.txt",
    b"/x" * 4000,
    b"/" + b"a" * 15000,
    b"/" + b"%61" * 5000,
    b"/domains" + b"/" * 5000 + b"x/y",
)


def of_paths() -> Iterator[Row]:
    for path, place in LANDS_ON.items():
        yield row(f"GET {said(path)} is GET {said(place)}", call(b"GET", path), 200)
    for path in NOWHERE:
        for method, body in ((b"GET", None), (b"POST", b"evil.io"), (b"DELETE", None)):
            yield row(f"{said(method)} {said(path)}", call(method, path, body=body), 400, 404, 405)
    for path in (b"/domains#x", b"/#", b"/domains?#", b"#"):
        yield row(f"GET {said(path)}, a fragment", call(b"GET", path), 400, 404)
    for name in (
        b"%2e%2e",
        b"%00",
        b"%ff",
        b"%",
        b"*",
        b"nobody.dtk.io",
        b"nobody.dtk.io;kept.dtk.io",
        b"kept.dtk.io%00",
        b"kept.dtk.io%20",
        b"kept.dtk.io%0a",
        b"kept.dtk.io%2f",
        b"%2fkept.dtk.io",
        b"kept%2edtk.io%2e.",
        b"%2564tk.io",
        b"xn--",
        b"a" * 300,
    ):
        for base in (b"/names/", b"/domains/", b"/clusters/default/names/"):
            yield row(f"DELETE {said(base + name)}", call(b"DELETE", base + name), 400, 404)
    for size in (16384, 20000, 100000):
        yield row(f"a path of {size} bytes", call(b"GET", b"/" + b"a" * size) + EVIL, 414)
        yield row(f"a query of {size} bytes", call(b"GET", b"/healthz?" + b"a" * size) + EVIL, 414)
    yield row("a path of 20 KB without an end", b"GET /" + b"a" * 20000, 414)


TABLE: dict[str, list[Row]] = {
    "pages": list(of_pages()),
    "hosts": list(of_hosts()),
    "request_lines": list(of_request_lines()),
    "lengths": list(of_lengths()),
    "codings": list(of_codings()),
    "chunks": list(of_chunks()),
    "fields": list(of_fields()),
    "sizes": list(of_sizes()),
    "paths": list(of_paths()),
}
