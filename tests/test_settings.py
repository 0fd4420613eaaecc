"""Which setting is in force, and that what was posted outlives restarts, damage and full disks."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtkdns.settings import (
    Given,
    Listener,
    Posted,
    PostedFile,
    PostedFileError,
    SetByOptionError,
    SettingError,
    Settings,
    parse_cluster_addresses,
    parse_domains,
    parse_listeners,
    parse_networks,
)

A, B, C = ("192.168.122.1",), ("192.168.122.2",), ("192.168.122.3", "fd00::3")


@pytest.fixture
def file(tmp_path: Path) -> PostedFile:
    return PostedFile(str(tmp_path / "posted.json"))


def contents(file: PostedFile) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path(file.path).parent.iterdir()}


def start(file: PostedFile, *option_addresses: str, cluster: str = "default") -> Settings:
    """The settings after a start at which nothing is wrong."""
    loaded, faults = file.load(Given((), option_addresses, cluster))
    assert faults == []
    return loaded


def posted_addresses(file: PostedFile, loaded: Settings, addresses: tuple[str, ...]) -> None:
    file.save(loaded.with_addresses("default", addresses))


# Values


def test_the_managed_domains_are_those_of_the_option_and_those_posted() -> None:
    both = (
        Settings(Given(("dtk.io", "a.io")))
        .with_domains("default", ["b.io", "a.io"])
        .with_domains("lab", ["lab.io"])
    )
    assert both.domains("default") == ("dtk.io", "a.io", "b.io")
    assert both.domains("lab") == ("lab.io",)
    assert both.domains("other") == ()
    assert both.clusters() == {"default", "lab"}
    assert Settings().clusters() == {"default"}


def test_a_domain_posted_again_changes_nothing() -> None:
    once = Settings().with_domains("default", ["a.io", "b.io"])
    assert once.with_domains("default", ["b.io", "a.io"]) == once


def test_a_posted_domain_is_taken_away_from_its_cluster_only() -> None:
    both = Settings().with_domains("default", ["a.io", "b.io"]).with_domains("lab", ["a.io"])
    after = both.without_domain("default", "a.io")
    assert after.domains("default") == ("b.io",)
    assert after.domains("lab") == ("a.io",)
    assert both.domains("default") == ("a.io", "b.io")


def test_a_domain_of_the_option_is_not_taken_away_and_the_option_is_named() -> None:
    with pytest.raises(SetByOptionError, match=r"^dtk\.io is set by --domains: "):
        Settings(Given(("dtk.io",))).without_domain("default", "dtk.io")


def test_the_option_means_the_default_cluster_only() -> None:
    posted = Settings(Given(("dtk.io",))).with_domains("lab", ["dtk.io"])
    assert posted.domains("lab") == ("dtk.io",)
    assert posted.without_domain("lab", "dtk.io").domains("lab") == ()


def test_a_domain_that_is_not_there_cannot_be_taken_away() -> None:
    with pytest.raises(KeyError):
        Settings().with_domains("lab", ["a.io"]).without_domain("default", "a.io")


def test_what_is_given_is_for_one_cluster_and_none_other() -> None:
    lab = Settings(Given(("lab.io",), A, "lab", "--config")).with_addresses("lab", B)
    assert lab.domains("lab") == ("lab.io",)
    assert lab.domains("default") == ()
    assert lab.clusters() == {"default", "lab"}
    assert lab.without_cluster("lab").addresses("lab") == A
    assert lab.without_cluster("default") == lab
    with pytest.raises(SetByOptionError, match=r"lab\.io is set by --config"):
        lab.without_domain("lab", "lab.io")


def test_addresses_take_the_place_of_the_former_and_leave_the_domains() -> None:
    both = Settings().with_domains("lab", ["a.io"]).with_addresses("lab", A).with_addresses("lab", C)
    assert both.addresses("lab") == C
    assert both.domains("lab") == ("a.io",)
    assert both.addresses("default") == ()


def test_a_cluster_is_dropped_with_all_that_was_posted_for_it_and_no_other() -> None:
    both = Settings(Given(("dtk.io",))).with_addresses("default", A).with_domains("default", ["a.io"])
    both = both.with_addresses("lab", B)
    after = both.without_cluster("default")
    assert (after.domains("default"), after.addresses("default")) == (("dtk.io",), ())
    assert after.addresses("lab") == B
    assert after.without_cluster("default") == after


# Texts


def test_domains_come_from_comma_lists_normalised_and_each_once() -> None:
    assert parse_domains([" DTK.io. , b\u00fccher.io", "dtk.io,test"]) == ("dtk.io", "xn--bcher-kva.io", "test")


@pytest.mark.parametrize("text", ["", " ", "a.io,", ",", "a b", "10.0.0.1", "localhost", "a.io,*.b.io"])
def test_a_bad_domain_in_a_list_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(SettingError, match=r"\.$"):
        parse_domains(["good.io", text])


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (" 192.168.122.167\n", ("192.168.122.167",)),
        ("FD00:0::1", ("fd00::1",)),
        ("192.168.122.167 , fd00::1", ("192.168.122.167", "fd00::1")),
        ("fd00::1,192.168.122.167", ("fd00::1", "192.168.122.167")),
    ],
)
def test_the_addresses_of_a_cluster_are_one_of_a_family_in_canonical_form(
    text: str, addresses: tuple[str, ...]
) -> None:
    assert parse_cluster_addresses(text) == addresses


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("10.0.0.1,", "not an IPv4 or IPv6 address"),
        ("10.0.0.1 10.0.0.2", "not an IPv4 or IPv6 address"),
        ("10.0.0.1,10.0.0.2", "one IPv4 and one IPv6"),
        ("10.0.0.1,fd00::1,fd00::2", "one IPv4 and one IPv6"),
        ("::ffff:10.0.0.1", r"10\.0\.0\.1"),
        ("0.0.0.0", "no address of a single machine"),
        ("fe80::1%eth0", "zone"),
    ],
)
def test_bad_addresses_are_refused_and_the_fault_is_named(text: str, fault: str) -> None:
    with pytest.raises(SettingError, match=fault) as refused:
        parse_cluster_addresses(text)
    assert str(refused.value).endswith(".")


def test_networks_come_from_a_comma_list() -> None:
    assert parse_networks("192.168.1.240/28 , fd00::/8,10.0.0.1") == (
        ip_network("192.168.1.240/28"),
        ip_network("fd00::/8"),
        ip_network("10.0.0.1/32"),
    )


@pytest.mark.parametrize(
    "text", ["", "192.168.1.241/28", "10.0.0.0/33", "10.0.0.0/8,", "dtk.io", "10.0.0.0/8;::/0"]
)
def test_a_bad_network_is_refused_with_one_that_would_do(text: str) -> None:
    with pytest.raises(SettingError, match=r"give a network like 192\.168\.1\.240/28\.$"):
        parse_networks(text)


@pytest.mark.parametrize(
    ("text", "listeners"),
    [
        ("127.0.0.1:5053", (Listener("127.0.0.1", 5053),)),
        ("5053", (Listener("127.0.0.1", 5053),)),
        (" 0\n", (Listener("127.0.0.1", 0),)),
        ("[::1]:5053", (Listener("::1", 5053),)),
        ("[FD00:0::1]:65535", (Listener("fd00::1", 65535),)),
        ("0.0.0.0:53,[::]:53", (Listener("0.0.0.0", 53), Listener("::", 53))),
        (
            "[::1]:53 , 10.0.0.1:53,5053,127.0.0.1:5053,10.0.0.1:53",
            (Listener("::1", 53), Listener("10.0.0.1", 53), Listener("127.0.0.1", 5053)),
        ),
        ("off", ()),
        (" off ", ()),
    ],
)
def test_listeners_come_from_a_comma_list_each_once_and_off_is_none(
    text: str, listeners: tuple[Listener, ...]
) -> None:
    assert parse_listeners(text) == listeners


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "'' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("5053,", "'' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("127.0.0.1", "'127.0.0.1' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("127.0.0.1:", "'127.0.0.1:' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("127.0.0.1:dns", "'127.0.0.1:dns' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("127.0.0.1:65536", "'127.0.0.1:65536' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("127.0.0.1:000053", "'127.0.0.1:000053' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("\u0665\u0663", "'\\u0665\\u0663' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("5053,off", "'off' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("[::1]", "'[::1]' is not ADDRESS:PORT: give one like 127.0.0.1:5053, or off."),
        ("::1:5053", "'::1:5053' is not ADDRESS:PORT: write an IPv6 address as [::1]:5053."),
        ("[::1:5053", "'[::1:5053' is not ADDRESS:PORT: write an IPv6 address as [::1]:5053."),
        (":5053", "'' is not an address: give one of this machine's."),
        ("localhost:5053", "'localhost' is not an address: give one of this machine's."),
        ("010.0.0.1:5053", "'010.0.0.1' is not an address: give one of this machine's."),
        ("224.0.0.1:5053", "224.0.0.1 is no address of a single machine."),
        ("[FF02::1]:5053", "ff02::1 is no address of a single machine."),
    ],
)
def test_a_bad_listener_is_refused_with_a_sentence_that_names_it(text: str, fault: str) -> None:
    with pytest.raises(SettingError) as refused:
        parse_listeners(text)
    assert str(refused.value) == fault


@given(st.ip_addresses(), st.integers(0, 65535))
def test_a_listener_is_written_as_it_is_read(address: IPv4Address | IPv6Address, port: int) -> None:
    listener = Listener(str(address), port)
    if not address.is_multicast:
        assert parse_listeners(str(listener)) == (listener,)


# The file


def test_where_there_is_no_file_only_options_are_in_force_and_none_is_made(file: PostedFile) -> None:
    assert file.load(Given(("dtk.io",))) == (Settings(Given(("dtk.io",))), [])
    assert contents(file) == {}


@given(
    st.dictionaries(
        st.text(alphabet="abc-", min_size=1, max_size=5),
        st.builds(
            lambda domains, addresses: Posted(domains=tuple(domains), addresses=addresses),
            st.lists(st.sampled_from(["a.io", "xn--bcher-kva.io", "test"]), unique=True),
            st.sampled_from([(), A, C]),
        ),
    )
)
def test_what_was_posted_comes_back_at_the_next_start(
    tmp_path_factory: pytest.TempPathFactory, posted: dict[str, Posted]
) -> None:
    file = PostedFile(str(tmp_path_factory.mktemp("state") / "posted.json"))
    file.save(Settings(Given(("dtk.io",)), posted))
    assert file.load(Given(("other.io",))) == (Settings(Given(("other.io",)), posted), [])


def test_the_file_is_for_its_user_alone_and_plain_to_read(file: PostedFile) -> None:
    file.save(Settings().with_domains("lab", ["lab.io"]))
    assert stat.S_IMODE(os.stat(file.path).st_mode) == 0o600
    data = Path(file.path).read_bytes()
    assert data.endswith(b"}\n")
    assert json.loads(data)["clusters"] == {"lab": {"domains": ["lab.io"], "addresses": []}}


def test_a_fixed_option_does_not_undo_what_was_posted_later(file: PostedFile) -> None:
    first = start(file, *A)
    assert first.addresses("default") == A
    posted_addresses(file, first, B)
    for _ in range(2):
        assert start(file, *A).addresses("default") == B


def test_an_edited_option_takes_effect_over_what_was_posted(file: PostedFile) -> None:
    posted_addresses(file, start(file, *A), B)
    assert start(file, *C).addresses("default") == C
    assert start(file, *C).addresses("default") == C


def test_a_new_option_takes_effect_over_what_was_posted_before_it(file: PostedFile) -> None:
    posted_addresses(file, start(file), B)
    assert start(file, *A).addresses("default") == A


def test_an_option_taken_away_changes_nothing_and_takes_effect_when_it_comes_back(file: PostedFile) -> None:
    assert start(file, *A).addresses("default") == A
    without = start(file)
    assert without.addresses("default") == A
    posted_addresses(file, without, B)
    assert start(file).addresses("default") == B
    assert start(file, *A).addresses("default") == A


def test_an_option_leaves_other_clusters_and_domains(file: PostedFile) -> None:
    file.save(start(file).with_addresses("lab", B).with_domains("default", ["a.io"]))
    after = start(file, *A)
    assert (after.addresses("lab"), after.domains("default")) == (B, ("a.io",))


def test_the_version_before_is_kept_beside_the_file(file: PostedFile) -> None:
    first = Settings().with_addresses("default", A)
    file.save(first)
    before = Path(file.path).read_bytes()
    file.save(first.with_addresses("default", B))
    assert contents(file).keys() == {"posted.json", "posted.json.previous"}
    assert contents(file)["posted.json.previous"] == before


def test_all_is_on_disk_before_the_save_returns_and_in_an_order_that_survives_a_power_cut(
    file: PostedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.save(Settings().with_addresses("default", A))
    steps: list[str] = []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        status = os.fstat(handle)
        if stat.S_ISDIR(status.st_mode):
            steps.append("fsync directory")
        else:
            assert status.st_ino == os.stat(file.path + ".new").st_ino
            assert status.st_size == len(Path(file.path + ".new").read_bytes()) > 0
            steps.append("fsync posted.json.new")
        fsync(handle)

    def noted_replace(source: str, target: str) -> None:
        steps.append(f"{os.path.basename(source)} -> {os.path.basename(target)}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    file.save(Settings().with_addresses("default", B))
    assert steps == [
        "fsync posted.json.new",
        "posted.json -> posted.json.previous",
        "posted.json.new -> posted.json",
        "fsync directory",
    ]


def test_what_a_crash_left_of_a_new_version_is_in_nobodys_way(file: PostedFile) -> None:
    file.save(Settings().with_addresses("default", A))
    Path(file.path + ".new").write_bytes(b'{"clus')
    assert start(file).addresses("default") == A
    file.save(Settings().with_addresses("default", B))
    assert start(file).addresses("default") == B
    assert not os.path.exists(file.path + ".new")


# Faults


def failing(call: Callable[..., object], number: int, error: OSError) -> Callable[..., object]:
    """The call as it is, but for one time at which it fails."""
    times = 0

    def count(*args: object, **more: object) -> object:
        nonlocal times
        times += 1
        if times == number:
            raise error
        return call(*args, **more)

    return count


@pytest.mark.parametrize(
    ("name", "number"), [("unlink", 1), ("open", 1), ("fsync", 1), ("replace", 1), ("replace", 2)]
)
def test_a_disk_that_refuses_a_step_leaves_what_was_posted_before_and_is_said(
    file: PostedFile, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    old = Settings().with_addresses("default", A)
    new = old.with_addresses("default", B).with_domains("lab", ["lab.io"])
    file.save(old)
    full = OSError(errno.ENOSPC, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(os, name, failing(getattr(os, name), number, full))
        with pytest.raises(PostedFileError, match=r"\(No space left on device\): make room or"):
            file.save(new)
    assert file.load(Given())[0] == old
    file.save(new)
    assert start(file) == new


def test_a_directory_that_cannot_be_synced_is_said(file: PostedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing(os.fsync, 2, OSError(errno.EIO, "Input/output error")))
    with pytest.raises(PostedFileError, match="Input/output error"):
        file.save(Settings().with_addresses("default", A))


def test_an_option_is_in_force_even_if_the_file_cannot_be_written_at_the_start(
    file: PostedFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(os.fsync, 1, OSError(errno.EROFS, "Read-only file system")))
    loaded, faults = file.load(Given((), A))
    assert loaded.addresses("default") == A
    assert faults == [
        f"{file.path} cannot be written (Read-only file system): make room or mend it, and send this again."
    ]


DAMAGED = [
    b"",
    b'{"version": 1, "clusters": {"default": {"dom',
    b"\0" * 200,
    b'{"clusters": {"default": {"domains": ["\xff"]}}}',
    b'{"clusters": {"default": {"domains": "a.io"}}}',
    b'{"clusters": {"default": {"domain": ["a.io"]}}}',
    b'{"clusters": null}',
    b"[]",
    b"[" * 100_000,
    b'{"clusters":' * 5000,
    b'{"version": 1, "clusterr": {"default": {"addresses": ["192.168.122.2"]}}}',
    b'{"version": 1, "clusters": {"default": {"addresses": ["192.168.122.r"]}}}',
    b'{"version": 1, "clusters": {"default": {"domains": ["dtk.io "]}}}',
]
DAMAGED_IDS = [
    "empty",
    "torn",
    "zeros",
    "utf-8",
    "text",
    "unknown",
    "null",
    "list",
    "deep list",
    "deep object",
    "flipped key",
    "flipped address",
    "flipped domain",
]


@pytest.mark.parametrize("data", DAMAGED, ids=DAMAGED_IDS)
def test_a_damaged_file_is_put_aside_and_the_version_before_it_is_used(file: PostedFile, data: bytes) -> None:
    old = Settings().with_addresses("default", A).with_domains("lab", ["lab.io"])
    file.save(old)
    file.save(old.with_addresses("default", B))
    Path(file.path).write_bytes(data)
    loaded, faults = file.load(Given())
    assert loaded == old
    assert len(faults) == 2
    assert faults[0].startswith(f"{file.path} is damaged (")
    assert faults[0].endswith(f") and was put aside as {file.path}.damaged.")
    assert (
        faults[1] == f"What was posted is taken from {file.path}.previous: the last POST may have to be repeated."
    )
    assert contents(file)["posted.json.damaged"] == data

    file.save(loaded.with_addresses("default", C))
    assert start(file).addresses("default") == C


def test_if_both_versions_are_damaged_both_are_kept_and_said_and_options_are_in_force(file: PostedFile) -> None:
    for addresses in (A, B):
        file.save(Settings().with_addresses("default", addresses))
    Path(file.path).write_bytes(b"x")
    Path(file.path + ".previous").write_bytes(b"y")
    loaded, faults = file.load(Given(("dtk.io",), C))
    assert (loaded.domains("default"), loaded.addresses("default")) == (("dtk.io",), C)
    assert len(faults) == 2
    assert contents(file)["posted.json.damaged"] == b"x"
    assert contents(file)["posted.json.previous.damaged"] == b"y"
    assert start(file, *C).addresses("default") == C


def test_a_file_that_cannot_be_read_is_said_and_the_version_before_it_is_used(file: PostedFile) -> None:
    for addresses in (A, B):
        file.save(Settings().with_addresses("default", addresses))
    os.unlink(file.path)
    os.mkdir(file.path)
    loaded, faults = file.load(Given())
    assert loaded.addresses("default") == A
    assert faults[0] == f"{file.path} cannot be read: Is a directory."


def test_after_a_crash_between_the_two_renames_the_version_before_is_used(file: PostedFile) -> None:
    file.save(Settings().with_addresses("default", A))
    os.replace(file.path, file.path + ".previous")
    loaded, faults = file.load(Given())
    assert loaded.addresses("default") == A
    assert faults == [
        f"What was posted is taken from {file.path}.previous: the last POST may have to be repeated."
    ]


def test_a_dry_run_reads_and_writes_nothing_and_its_option_is_in_force(file: PostedFile) -> None:
    file.save(Settings().with_addresses("default", A).with_domains("lab", ["lab.io"]))
    file.save(Settings().with_addresses("default", B))
    dry = PostedFile(file.path, read_only=True)
    for data in (Path(file.path).read_bytes(), b"damaged"):
        Path(file.path).write_bytes(data)
        before = contents(file)
        loaded, _ = dry.load(Given((), C))
        assert loaded.addresses("default") == C
        dry.save(loaded.with_addresses("default", A))
        assert contents(file) == before
    assert dry.load(Given())[1][0].startswith(f"{file.path} is damaged (")
    assert "put aside" not in dry.load(Given())[1][0]


def test_an_address_that_is_given_for_another_cluster_takes_effect_there(tmp_path: Path) -> None:
    file = PostedFile(str(tmp_path / "posted.json"))
    first = start(file, *A)
    assert (first.addresses("default"), first.addresses("lab")) == (A, ())
    moved = start(file, *A, cluster="lab")
    assert (moved.addresses("default"), moved.addresses("lab")) == (A, A)
    file.save(moved.with_addresses("lab", B))
    assert start(file, *A, cluster="lab").addresses("lab") == B, "what was posted since stays in force"
