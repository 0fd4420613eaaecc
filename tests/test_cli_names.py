"""Waiting for names, and forgetting what is left of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from attrs import frozen
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from dtkdns.cli import client, names
from dtkdns.cli.client import fetch_status
from dtkdns.cli.names import (
    LOOK_SECONDS,
    MANY,
    Forgotten,
    Owned,
    Waited,
    find_cluster,
    find_name,
    forget,
    wait,
)
from dtkdns.smoke.report import FaultError
from dtkdns.smoke.webhook import Webhook
from running import Running, endpoint, running


@frozen
class Later:
    """A status with something that this version does not have."""

    later: str


@asynccontextmanager
async def calling(service: Running) -> AsyncIterator[Webhook]:
    webhook = Webhook(f"http://127.0.0.1:{service.port}", None, 15.0, reactor)
    try:
        yield webhook
    finally:
        await webhook.close()


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """The system's resolver gives these answers, one after the other; the names that it is asked for."""
    asked: list[str] = []

    async def resolved(name: str) -> list[str]:
        asked.append(name)
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr(names, "resolved", resolved)
    return asked


@pytest.mark.parametrize(
    ("gone", "answers"), [(False, [[], [], ["10.0.0.1"]]), (True, [["10.0.0.1"], ["::1"], []])]
)
def test_it_is_looked_until_the_name_resolves_or_no_longer_does(
    gone: bool, answers: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, clock = resolving(monkeypatch, *answers), Clock()
    found: list[Waited] = []
    Deferred.fromCoroutine(wait("FOO.dtk.io", gone=gone, seconds=9, clock=clock)).addCallback(found.append)
    clock.advance(LOOK_SECONDS)
    assert not found
    clock.advance(LOOK_SECONDS)
    assert found == [Waited("foo.dtk.io", gone, answers[-1])]
    assert asked == ["foo.dtk.io"] * 3


@ensureDeferred
@pytest.mark.parametrize(
    ("gone", "answer", "wrong"),
    [
        (False, [], "foo.dtk.io does not resolve after 0 s."),
        (True, ["10.0.0.1", "::1"], "foo.dtk.io still resolves to 10.0.0.1, ::1 after 0 s."),
    ],
)
async def test_what_has_not_come_about_in_time_is_said(
    gone: bool, answer: list[str], wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, answer)
    with pytest.raises(FaultError) as fault:
        await wait("foo.dtk.io", gone=gone, seconds=0, clock=Clock())
    assert (fault.value.wrong, fault.value.advice) == (wrong, "dtkdns why says where it stops.")


@ensureDeferred
async def test_nothing_is_waited_for_that_can_be_no_name() -> None:
    with pytest.raises(FaultError, match="is no host name"):
        await wait("a..b", gone=True, seconds=9, clock=Clock())


@ensureDeferred
async def test_a_name_is_forgotten_after_a_question_that_shows_what_goes(tmp_path: Path) -> None:
    said: list[str] = []
    async with running(tmp_path) as service, calling(service) as webhook:
        await service.change(
            create=[endpoint("foo.dtk.io", "10.0.0.1"), endpoint("Bar.dtk.io", "x\x1b[2J", kind="TXT")]
        )
        found = await find_name(webhook, "BAR.dtk.io.", "default")
        assert found.records == (Owned("bar.dtk.io", "TXT"),)
        questions: list[str] = []
        kept = await forget(webhook, found, lambda question: bool(questions.append(question)), said.append)
        assert kept == Forgotten(False, "default", found.records)
        assert questions == ["Forget 1 record of cluster default?"]
        assert len(await service.records()) == 2
        gone = await forget(webhook, found, lambda _question: True, said.append)
        assert gone == Forgotten(True, "default", found.records)
        assert [one["dnsName"] for one in await service.records()] == ["foo.dtk.io"]
        with pytest.raises(FaultError, match=r"Cluster default has no record of bar\.dtk\.io"):
            await find_name(webhook, "bar.dtk.io", "default")
    assert said == ["  bar.dtk.io (TXT)", "Nothing was forgotten.", "  bar.dtk.io (TXT)", "Forgotten."]


@ensureDeferred
async def test_a_cluster_is_forgotten_whole_and_what_options_set_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    async with running(tmp_path) as service, calling(service) as webhook:
        many = [endpoint(f"n{at}.dtk.io", "10.0.0.1") for at in range(MANY + 2)]
        await service.change(create=many)
        await service.change("/clusters/lab", create=many[:1])
        found = await find_cluster(webhook, "lab")
        assert (found.path, found.records) == ("/clusters/lab", (Owned("n0.dtk.io", "A"),))
        gone = await forget(webhook, await find_cluster(webhook, "default"), lambda _question: True, said.append)
        assert gone.forgotten
        assert len(gone.records) == MANY + 2
        assert await service.records() == []
        assert len(await service.records("/clusters/lab")) == 1
        with pytest.raises(FaultError) as fault:
            await find_cluster(webhook, "nope")
        assert fault.value.wrong == "There is no cluster nope."
        assert fault.value.advice == "These are known: default, lab."
    assert said[-2:] == ["  and 2 more", f"Forgotten. {gone.warning}"]
    assert "dtk.io (--domains)" in gone.warning


@ensureDeferred
async def test_the_notes_of_external_dns_that_go_with_a_name_are_shown_too(tmp_path: Path) -> None:
    note = endpoint("a-foo.dtk.io", "heritage=external-dns", kind="TXT", labels={"ownedRecord": "foo.dtk.io"})
    async with running(tmp_path) as service, calling(service) as webhook:
        await service.change(create=[endpoint("foo.dtk.io", "10.0.0.1"), note, endpoint("bar.dtk.io", "10.0.0.1")])
        found = await find_name(webhook, "foo.dtk.io", "default")
        assert found.records == (Owned("a-foo.dtk.io", "TXT"), Owned("foo.dtk.io", "A"))
        await forget(webhook, found, lambda _question: True, lambda _line: None)
        assert [one["dnsName"] for one in await service.records()] == ["bar.dtk.io"]


@ensureDeferred
async def test_the_state_of_the_service_comes_in_letters_that_a_terminal_can_show(tmp_path: Path) -> None:
    async with running(tmp_path, "--cluster-ip", "10.0.0.1") as service, calling(service) as webhook:
        labels = {"resource": "ingress/default/\x1b[2J\u202e"}
        await service.change(create=[endpoint("foo.dtk.io", "10.0.0.2", labels=labels)])
        status = await fetch_status(webhook)
        assert [one.resource for one in status.names] == ["ingress/default/\\x1b[2J\\u202e"]
        assert status.clusters[0].addresses == ("10.0.0.1",)
        assert status.hosts is not None
        assert status.hosts.written is not None


@ensureDeferred
async def test_a_service_of_another_version_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ServiceStatus", Later)
    async with running(tmp_path) as service, calling(service) as webhook:
        with pytest.raises(FaultError, match=r"is not understood: .*`later`") as fault:
            await fetch_status(webhook)
    assert fault.value.advice == "Is it of another version than this command? After an update, restart it."
