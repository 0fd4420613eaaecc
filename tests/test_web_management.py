"""The calls of DTK's script and of people, over real connections."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_twisted import ensureDeferred

from dtkdns import access
from running import endpoint, running

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
FOO = endpoint("foo.dtk.io", "10.32.0.45", labels={"resource": "ingress/default/test", "owner": "x"})
FOO_TXT = endpoint("a-foo.dtk.io", "heritage", kind="TXT", labels={"ownedRecord": "foo.dtk.io"})


@ensureDeferred
async def test_the_calls_of_dtks_script_work_word_for_word_and_again(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        first = await service.call("POST", "/domains", b"lab.io", FORM)
        assert first.json() == {"cluster": "default", "domains": ["dtk.io", "lab.io"], "addresses": []}
        for _ in range(2):
            assert (await service.call("POST", "/clusterip", b"192.168.122.167", FORM)).status == 200
            assert (await service.call("POST", "/domains", b"lab.io", FORM)).status == 200
        assert (await service.call("GET", "/domains")).json() == ["dtk.io", "lab.io"]
        assert (await service.call("GET", "/clusterip")).json() == "192.168.122.167"


@ensureDeferred
async def test_bodies_may_be_lists_and_json(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        assert (await service.call("GET", "/clusterip")).json() == ""
        for body in (b' "a.io" ', b'["b.io", "c.io"]', b" d.io ,e.io\n", "b\u00fccher.io".encode()):
            assert (await service.call("POST", "/domains", body)).status == 200
        domains = ["dtk.io", "a.io", "b.io", "c.io", "d.io", "e.io", "xn--bcher-kva.io"]
        assert (await service.call("GET", "/domains")).json() == domains
        both = await service.call("POST", "/clusterip", b'["10.0.0.1", "fd00:0::1"]')
        assert both.json()["addresses"] == ["10.0.0.1", "fd00::1"]


@ensureDeferred
@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/domains", b"", "empty"),
        ("/domains", b"a b.io", "letters"),
        ("/domains", b"10.0.0.1", "address"),
        ("/domains", b"localhost", "RFC 6761"),
        ("/domains", b"*.dtk.io", "wildcard"),
        ("/domains", b"a" * 64 + b".io", "63"),
        ("/domains", b".".join([b"a" * 50] * 6), "253"),
        ("/domains", b"\xff", "neither"),
        ("/domains", b"[1]", "neither"),
        ("/clusterip", b"", "empty"),
        ("/clusterip", b"dtk.io", "not an IPv4 or IPv6 address"),
        ("/clusterip", b"0.0.0.0", "no address of a single machine"),
        ("/clusterip", b"10.0.0.1,10.0.0.2", "one"),
        ("/clusterip", b"fe80::1%eth0\n6.6.6.6 x", "zone"),
    ],
)
async def test_bad_values_are_refused_with_the_fault(tmp_path: Path, path: str, body: bytes, word: str) -> None:
    async with running(tmp_path) as service:
        reply = await service.call("POST", path, body)
        assert reply.status == 400
        assert word in reply.text
        assert reply.text.count("\n") == 1
        assert (await service.call("GET", "/domains")).json() == ["dtk.io"]
        assert (await service.call("GET", "/clusterip")).json() == ""


@ensureDeferred
async def test_a_single_label_is_taken_with_a_warning(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        assert "test" in (await service.call("POST", "/domains", b"test")).json()["warning"]


@ensureDeferred
async def test_every_name_moves_with_the_clusters_address(tmp_path: Path) -> None:
    async with running(tmp_path, "--cluster-ip", "192.168.122.167") as service:
        await service.change(create=[FOO])
        await service.call("POST", "/clusterip", b"192.168.122.168,fd00::1")
        lines = b"192.168.122.168 foo.dtk.io # ingress/default/test\nfd00::1 foo.dtk.io # ingress/default/test\n"
        assert lines in service.hosts


@ensureDeferred
async def test_a_domain_added_later_shows_its_names_and_tells_to_restart_external_dns(
    tmp_path: Path, log_lines: list[str]
) -> None:
    async with running(tmp_path) as service:
        await service.call("GET", "/")
        await service.change(create=[endpoint("foo.lab.io", "10.0.0.1")])
        assert b"foo.lab.io" not in service.hosts
        await service.call("POST", "/domains", b"lab.io")
        assert b"10.0.0.1 foo.lab.io" in service.hosts
        assert any("restart it" in line for line in log_lines)
        assert (await service.call("DELETE", "/domains/lab.io")).json()["domains"] == ["dtk.io"]
        assert b"foo.lab.io" not in service.hosts


@ensureDeferred
async def test_deleting_what_is_not_there_or_set_by_an_option_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        assert (await service.call("DELETE", "/domains/lab.io")).status == 404
        reply = await service.call("DELETE", "/domains/dtk.io")
        assert reply.status == 409
        assert "--domains" in reply.text
        assert (await service.call("DELETE", "/names/foo.dtk.io")).status == 404
        assert (await service.call("DELETE", "/clusters/lab")).status == 404
        assert (await service.call("DELETE", "/clusters/lab/domains/dtk.io")).status == 404


@ensureDeferred
async def test_a_name_is_forgotten_with_its_ownership_record(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        before = service.hosts
        await service.change(create=[FOO, FOO_TXT])
        assert (await service.call("DELETE", "/names/FOO.dtk.io.")).status == 200
        assert await service.records() == []
        assert service.hosts == before


@ensureDeferred
async def test_a_cluster_is_forgotten_whole_but_for_what_options_set(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        before = service.hosts
        for base in ("", "/clusters/lab"):
            await service.call("POST", f"{base}/domains", b"lab.io")
            await service.call("POST", f"{base}/clusterip", b"10.9.9.9")
            await service.change(base, create=[endpoint(f"{base[-3:] or 'foo'}.lab.io", "10.0.0.1")])
        assert b"10.9.9.9 lab.lab.io # lab external-dns\n" in service.hosts
        assert (await service.call("DELETE", "/clusters/lab")).json() == {
            "cluster": "lab",
            "domains": [],
            "addresses": [],
        }
        reply = (await service.call("DELETE", "/clusters/default")).json()
        assert reply["domains"] == ["dtk.io"]
        assert "--domains" in reply["warning"]
        assert service.hosts == before
        assert (await service.call("GET", "/clusterip")).json() == ""
        assert (await service.call("DELETE", "/clusters/default")).status == 404
        assert (await service.call("DELETE", "/")).status == 405


@ensureDeferred
async def test_an_address_that_an_option_set_stays_when_its_cluster_is_forgotten(tmp_path: Path) -> None:
    async with running(tmp_path, "--cluster-ip", "10.1.1.1") as service:
        await service.call("POST", "/clusterip", b"10.9.9.9")
        reply = (await service.call("DELETE", "/clusters/default")).json()
        assert reply["addresses"] == ["10.1.1.1"]
        assert "10.1.1.1 (--cluster-ip)" in reply["warning"]


@ensureDeferred
async def test_another_machine_may_read_but_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "is_this_machine", lambda _address: False)
    async with running(tmp_path) as service:
        for method, path in (
            ("POST", "/domains"),
            ("POST", "/clusterip"),
            ("DELETE", "/domains/dtk.io"),
            ("DELETE", "/names/foo.dtk.io"),
            ("DELETE", "/clusters/default"),
        ):
            reply = await service.call(method, path, b"192.0.2.7" if path == "/clusterip" else b"evil.io")
            assert reply.status == 403, path
            assert "127.0.0.1 is another machine" in reply.text
        assert (await service.call("GET", "/domains")).json() == ["dtk.io"]
        assert (await service.change(create=[FOO])).status == 204


@ensureDeferred
async def test_a_page_of_another_site_may_not_call(tmp_path: Path) -> None:
    async with running(tmp_path) as service:
        for origin in ("http://evil.example", "null", f"https://127.0.0.1:{service.port + 1}"):
            reply = await service.call("POST", "/domains", b"evil.io", {"Origin": origin})
            assert reply.status == 403, origin
        rebound = {"Origin": "http://evil.example:80", "Host": "evil.example:80"}
        assert (await service.call("POST", "/domains", b"evil.io", rebound)).status == 421
        own = {"Origin": f"http://127.0.0.1:{service.port}"}
        assert (await service.call("GET", "/domains", None, own)).json() == ["dtk.io"]
