"""Where the state directory is, and that one dtkdns at a time uses it."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest

from dtkdns.state import StateDirectory, StateError, default_path


def refusing(number: int) -> object:
    def refuse(*_args: object, **_more: object) -> NoReturn:
        raise OSError(number, os.strerror(number))

    return refuse


def test_root_has_the_systems_directory_and_others_have_one_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/user")
    assert default_path({"XDG_STATE_HOME": "/elsewhere"}, 0) == "/var/lib/dtkdns"
    assert default_path({"XDG_STATE_HOME": "/elsewhere"}, 1000) == "/elsewhere/dtkdns"
    assert default_path({"XDG_STATE_HOME": ""}, 1000) == "/home/user/.local/state/dtkdns"
    assert default_path({}, 1000) == "/home/user/.local/state/dtkdns"


def test_the_directory_is_made_with_its_parents_and_others_cannot_list_it(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path / "a" / "state"))
    state.make()
    state.make()
    assert stat.S_IMODE(os.stat(state.path).st_mode) == 0o711
    assert {os.path.dirname(path) for path in (state.database, state.posted)} == {state.path}
    assert state.database != state.posted


def test_a_directory_that_can_never_be_made_is_refused_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(StateError, match=r"file cannot be made \(File exists\): give another --state\.$"):
        StateDirectory(str(file)).make()
    monkeypatch.setattr(os, "makedirs", refusing(errno.EACCES))
    with pytest.raises(StateError, match=r"\(Permission denied\): give another --state\.$"):
        StateDirectory(str(tmp_path / "state")).make()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_disk_that_is_full_or_read_only_may_mend_itself_and_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    state = StateDirectory(str(tmp_path / "state"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "makedirs", refusing(number))
        state.take()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing(number))
        state.take()
    state.take()
    with pytest.raises(StateError):
        StateDirectory(str(tmp_path / "state")).take()
    state.release()


def test_no_right_to_write_is_refused_with_a_remedy_unless_the_file_system_is_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = StateDirectory(str(tmp_path))
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=0))
    with pytest.raises(StateError, match=r"^No right to write in .*: start dtkdns with sudo, or give another"):
        state.make()
    monkeypatch.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_flag=os.ST_RDONLY))
    state.make()


def test_one_at_a_time_has_the_directory_until_it_is_released(tmp_path: Path) -> None:
    first, second = StateDirectory(str(tmp_path)), StateDirectory(str(tmp_path))
    first.take()
    first.take()
    before = os.listdir("/proc/self/fd")
    with pytest.raises(StateError, match=r"^Another dtkdns uses .*: stop it first, or give this one another"):
        second.take()
    assert os.listdir("/proc/self/fd") == before
    other = StateDirectory(str(tmp_path / "other"))
    other.take()
    other.release()
    first.release()
    first.release()
    second.take()
    second.release()


def test_a_lock_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(StateError, match=r"cannot be locked \(.*\): give another --state\.$"):
        StateDirectory(str(tmp_path)).take()
    assert not (tmp_path / "target").exists()


def test_the_identity_is_eight_digits_of_the_directory_whatever_way_leads_to_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "state")
    (tmp_path / "state").mkdir()
    identity = StateDirectory(str(tmp_path / "state")).identity
    assert re.fullmatch(r"[0-9a-f]{8}", identity)
    assert StateDirectory(str(tmp_path / "link")).identity == identity
    assert StateDirectory(str(tmp_path / "state" / ".." / "state")).identity == identity
    assert StateDirectory(str(tmp_path / "other")).identity != identity
    assert StateDirectory(os.fsdecode(bytes(tmp_path) + b"/\xff")).identity != identity


def test_where_the_service_is_called_stands_there_for_everybody_to_read(tmp_path: Path) -> None:
    state = StateDirectory(str(tmp_path))
    state.tell_url("http://127.0.0.1:5000")
    state.tell_url("http://127.0.0.1:5001")
    assert Path(state.url).read_text() == "http://127.0.0.1:5001\n"
    assert stat.S_IMODE(os.stat(state.url).st_mode) == 0o644
    StateDirectory(str(tmp_path / "missing")).tell_url("http://127.0.0.1:5000")
    assert os.listdir(tmp_path) == ["url"]
