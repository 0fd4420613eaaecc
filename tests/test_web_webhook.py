"""external-dns' four calls over real connections."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from dtkdns.wire import MEDIA_TYPE
from running import WEBHOOK, endpoint, running

FOO = endpoint("foo.dtk.io", "foo.dtk.io", kind="CNAME", labels={"resource": "ingress/default/test"})


@ensureDeferred
async def test_negotiation_answers_the_domains_in_the_exact_media_type(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        for path in ("/", "", "//", "/clusters/default", "/clusters/default/"):
            reply = await service.call("GET", path)
            assert reply.status == 200
            assert reply.headers.getRawHeaders(b"Content-Type") == [MEDIA_TYPE]
            assert reply.json() == {"include": ["dtk.io"]}
        raw = await service.raw(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"\r\nContent-Length: 22\r\n" in raw
        assert raw.endswith(b'\r\n\r\n{"include":["dtk.io"]}')


@ensureDeferred
async def test_an_unknown_cluster_manages_nothing_and_comes_into_being_with_records(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        assert (await service.call("GET", "/clusters/lab")).json() == {"include": []}
        assert await service.records("/clusters/lab") == []
        desired = json.dumps([endpoint("a.dtk.io", "10.0.0.1")]).encode()
        assert (await service.call("POST", "/clusters/lab/adjustendpoints", desired, WEBHOOK)).json() == []
        assert (await service.change("/clusters/lab", create=[FOO])).status == 204
        assert await service.records("/clusters/lab") == [FOO]
        assert await service.records() == []


@ensureDeferred
async def test_what_was_accepted_comes_back_byte_for_byte_and_head_has_no_body(tmp_path: Path) -> None:
    odd = b'{ "dnsName":"Foo.dtk.io." , "recordType":"A","targets":["10.0.0.1"],"new\\u0041":[1e3,{"a":null}]}'
    async with running(tmp_path) as service:
        assert (await service.call("POST", "/records", b'{"Create":[' + odd + b"]}", WEBHOOK)).status == 204
        reply = await service.call("GET", "//records/")
        assert reply.body == b"[" + odd + b"]"
        head = await service.raw(b"HEAD /records HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"\r\nContent-Length: %d\r\n" % len(reply.body) in head
        assert head.endswith(b"\r\n\r\n")


@ensureDeferred
async def test_adjust_answers_the_bytes_it_was_sent_unless_something_is_left_out(
    tmp_path: Path, log_lines: list[str]
) -> None:
    inside, outside = endpoint("a.dtk.io", "10.0.0.1"), endpoint("evildtk.io", "10.0.0.1")
    async with running(tmp_path) as service:
        sent = b" " + json.dumps([inside]).encode() + b"\n"
        assert (await service.call("POST", "/adjustendpoints", sent, WEBHOOK)).body == sent
        for _ in range(2):
            both = json.dumps([outside, inside]).encode()
            assert (await service.call("POST", "/adjustendpoints", both, WEBHOOK)).json() == [inside]
        for nothing in (b"[]", b"null"):
            assert (await service.call("POST", "/adjustendpoints", nothing, WEBHOOK)).body == b"[]"
    assert len([line for line in log_lines if line.startswith("evildtk.io (A) lies in none")]) == 1


@ensureDeferred
async def test_a_204_means_that_the_hosts_file_shows_the_names(tmp_path: Path) -> None:
    async with running(tmp_path, "--cluster-ip=192.168.122.167") as service:
        before = service.hosts
        reply = await service.change(create=[FOO])
        assert (reply.status, reply.body) == (204, b"")
        assert b"192.168.122.167 foo.dtk.io # ingress/default/test\n" in service.hosts
        assert (await service.change(delete=[FOO])).status == 204
        assert service.hosts == before


@ensureDeferred
async def test_no_record_makes_external_dns_exit(tmp_path: Path) -> None:
    odd = [
        "*.dtk.io",
        "a.example.com",
        "a\n6.6.6.6 evil.dtk.io",
        "a#b.dtk.io",
        "\u2028.dtk.io",
        "x" * 300,
        "",
        "a\0b.dtk.io",
    ]
    kinds = ["A", "AAAA", "CNAME", "TXT", "SRV", "NAPTR", "", "MADE-UP"]
    created = [endpoint(name, "6.6.6.6\n7.7.7.7 evil", kind=kind) for name in odd for kind in kinds]
    async with running(tmp_path) as service:
        before = service.hosts
        assert (await service.change(create=created)).status == 204
        assert service.hosts == before
        assert await service.records() == created


@ensureDeferred
async def test_bad_bodies_get_a_sentence_and_change_nothing(tmp_path: Path) -> None:
    bad = [
        b"",
        b"nonsense",
        b"[]",
        b'{"create":{}}',
        b'{"create":[null]}',
        b'{"create":[{"dnsName":7}]}',
        b'{"create":[{"recordTTL":300.0}]}',
        b'{"create":[{"recordTTL":99999999999999999999999}]}',
        b'{"create":[{"dnsname":"a"}]}',
        b'{"create":[{"dnsName":"\xff"}]}',
        b'{"create":[],"x":"\xff"}',
        b'{"create":' + b"[" * 3000 + b"]" * 3000 + b"}",
    ]
    async with running(tmp_path) as service:
        assert (await service.change(create=[FOO])).status == 204
        for body in bad:
            reply = await service.call("POST", "/records", body, WEBHOOK)
            assert reply.status == 400, body
            assert reply.text.endswith(".\n")
            assert reply.text.count("\n") == 1
        assert (await service.call("POST", "/adjustendpoints", b"{}", WEBHOOK)).status == 400
        assert await service.records() == [FOO]


@ensureDeferred
async def test_the_record_routes_take_the_webhooks_media_type_only(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        for path in ("/records", "/adjustendpoints"):
            for given in ({}, {"Content-Type": "application/json"}, {"Content-Type": "text/plain"}):
                assert (await service.call("POST", path, b"[]", given)).status == 415
        spaced = {"Content-Type": "application/external.dns.webhook+json; version=1"}
        assert (await service.call("POST", "/records", b"{}", spaced)).status == 204


@ensureDeferred
async def test_unknown_paths_and_methods_are_answered_in_plain_text(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        for path in ("/nothing", "/clusters", "/clusters/UPPER/records", "/clusters/a%2fb/records", "/records/x"):
            reply = await service.call("GET", path)
            assert reply.status == 404, path
            assert reply.headers.getRawHeaders(b"Content-Type") == [b"text/plain; charset=utf-8"]
        reply = await service.call("PUT", "/records")
        assert reply.status == 405
        assert set(reply.headers.getRawHeaders(b"Allow")[0].split(b", ")) == {b"GET", b"HEAD", b"POST"}
        assert b"<" not in reply.body


@ensureDeferred
async def test_a_client_that_goes_away_undoes_nothing(tmp_path: Path) -> None:
    body = json.dumps({"create": [FOO]}).encode()
    head = b"POST /records HTTP/1.1\r\nHost: x\r\nContent-Type: " + MEDIA_TYPE + b"\r\nContent-Length: %d\r\n\r\n"
    async with running(tmp_path) as service:
        client = await service.connect()
        client.send(head % len(body) + body)
        client.transport.loseConnection()
        await client.lost
        await service.change(create=[endpoint("b.dtk.io", "10.0.0.1")])
        assert FOO in await service.records()


@pytest.mark.parametrize("body", [b"nonsense", b"[]"])
@ensureDeferred
async def test_no_cluster_is_made_up_by_asking_about_it(tmp_path: Path, body: bytes) -> None:
    async with running(tmp_path) as service:
        await service.call("POST", "/clusters/made-up/adjustendpoints", body, WEBHOOK)
        status = (await service.call("GET", "/status")).json()
        assert status["external_dns"] == []
        assert [cluster["name"] for cluster in status["clusters"]] == ["default"]
