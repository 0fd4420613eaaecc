"""Users and their secrets: which files are taken, and who is known by them."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from werkzeug import security
from werkzeug.security import generate_password_hash

from dtkdns import credentials
from dtkdns.credentials import MOST_BYTES, Credentials, CredentialsError, read_credentials

SCRYPT = generate_password_hash("s3:cret \u00e9", "scrypt:256:8:1")
PBKDF2 = generate_password_hash("s3:cret \u00e9", "pbkdf2:sha256:2")


def basic(user: str, secret: str, scheme: str = "Basic") -> bytes:
    return scheme.encode() + b" " + b64encode(f"{user}:{secret}".encode())


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Credentials]:
    """Write a file and read it as credentials."""
    path = tmp_path / "credentials"

    def read(text: str | bytes, mode: int = 0o600) -> Credentials:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        return read_credentials(str(path))

    return read


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that were compared with, by how they are made."""
    found: list[str] = []
    check = security.check_password_hash

    def counting(expected: str, secret: str) -> bool:
        found.append(expected.partition("$")[0])
        return check(expected, secret)

    monkeypatch.setattr(credentials, "check_password_hash", counting)
    return found


# The file


@pytest.mark.parametrize(
    ("text", "user", "secret"),
    [
        ("user:secret", "user", "secret"),
        ("# a comment: not a user\n\n  \nuser:secret\r\n", "user", "secret"),
        ("other:one\nuser:secret\n", "user", "secret"),
        ("user:with:colons:\n", "user", "with:colons:"),
        ("user: spaces count \n", "user", " spaces count "),
        ("us er:#!$%\n", "us er", "#!$%"),
        ("\u00fcser:\u4e2d\u6587\n", "\u00fcser", "\u4e2d\u6587"),
        ("user:$ecret$\n", "user", "$ecret$"),
    ],
)
def test_a_line_is_a_user_and_a_secret(
    read: Callable[..., Credentials], text: str, user: str, secret: str
) -> None:
    known = read(text)
    assert known.known(basic(user, secret)) is True
    assert known.known(basic(user, secret + "x")) is False
    assert known.known(basic(user, "")) is False


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "{path} holds nobody: write a line user:secret."),
        ("# nobody\n\n", "{path} holds nobody: write a line user:secret."),
        ("a:b\nuser\n", "{path}, line 2: it is not user:secret."),
        ("user:\n", "{path}, line 1: it is not user:secret."),
        (":secret\n", "{path}, line 1: it is not user:secret."),
        ("a:b\n\nb:c\na:d\n", "{path}, line 4: its user was there before."),
        (b"user:\xff\n", "{path} is not UTF-8."),
        ("user:x".ljust(MOST_BYTES + 1, "x"), f"{{path}} is larger than {MOST_BYTES} bytes."),
        ("user:scrypt:32768:8:1$salt\n", "{path}, line 1: its hash is not whole."),
        ("user:pbkdf2:sha256$salt$nothex\n", "{path}, line 1: its hash is not whole."),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(
    read: Callable[..., Credentials], tmp_path: Path, text: str | bytes, sentence: str
) -> None:
    with pytest.raises(CredentialsError) as raised:
        read(text)
    assert str(raised.value) == sentence.format(path=tmp_path / "credentials")


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ("scrypt:1:2$salt$00", "'scrypt' takes 3 arguments"),
        ("scrypt:3:8:1$salt$00", "n must be a power of 2"),
        ("pbkdf2:sha256:0$salt$00", "iteration value must be greater than 0"),
    ],
)
def test_a_hash_that_can_never_be_compared_with_is_refused_at_once(
    read: Callable[..., Credentials], kept: str, why: str
) -> None:
    with pytest.raises(CredentialsError, match=f"line 1: {why}"):
        read(f"user:{kept}\n")


def test_a_file_of_just_the_limit_is_taken(read: Callable[..., Credentials]) -> None:
    secret = "x" * (MOST_BYTES - len("user:"))
    assert read(f"user:{secret}").known(basic("user", secret))


@pytest.mark.parametrize(
    "secret",
    ["$2b$12$abc", "$2y$10$abc", "$apr1$abc", "$argon2id$v=19$abc", "$1$a", "$6$a$b", "$y$j9T$a", "{SSHA}a"],
)
def test_a_hash_of_another_program_is_refused_and_not_taken_for_a_secret(
    read: Callable[..., Credentials], secret: str
) -> None:
    with pytest.raises(
        CredentialsError, match="line 1: a hash of this kind is not understood; make one with werk"
    ):
        read(f"user:{secret}\n")


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o666])
def test_a_file_that_is_open_to_others_is_refused_with_the_remedy(
    read: Callable[..., Credentials], tmp_path: Path, mode: int
) -> None:
    with pytest.raises(CredentialsError, match=f"is open to other users: chmod 600 {tmp_path}/credentials.$"):
        read("user:secret", mode)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400, 0o440])
def test_the_owner_and_a_group_that_only_reads_are_no_others(read: Callable[..., Credentials], mode: int) -> None:
    assert read("user:secret", mode).known(basic("user", "secret"))


@pytest.mark.parametrize(("name", "why"), [("none", "No such file"), (".", "Is a directory")])
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(CredentialsError, match=rf"cannot be read \({why}"):
        read_credentials(str(tmp_path / name))


def test_no_secret_is_in_what_is_logged_of_credentials(read: Callable[..., Credentials]) -> None:
    known = read(f"user:secret\nother:{SCRYPT}\n")
    known.verify(basic("other", "s3:cret \u00e9"))
    assert repr(known) == "Credentials()"


# Who is known


def test_secrets_are_compared_in_constant_time_as_digests_of_one_length(
    read: Callable[..., Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return True

    known = read("user:secret\n")
    monkeypatch.setattr(hmac, "compare_digest", compare)
    for secret in ("secret", "", "much longer than that" * 100):
        assert known.known(basic("user", secret))
    assert [(len(one), len(other)) for one, other in compared] == 3 * [(32, 32)]
    assert b"secret" not in compared[0]


def test_where_no_hash_is_kept_an_unknown_user_is_wrong_at_once(
    read: Callable[..., Credentials], hashes: list[str]
) -> None:
    assert read("user:secret\n").known(basic("other", "secret")) is False
    assert hashes == []


@pytest.mark.parametrize("kept", [SCRYPT, PBKDF2], ids=["scrypt", "pbkdf2"])
def test_a_hashed_secret_is_verified_once_and_known_from_then_on(
    read: Callable[..., Credentials], hashes: list[str], kept: str
) -> None:
    known = read(f"user:{kept}\n")
    hashes.clear()
    right, wrong = basic("user", "s3:cret \u00e9"), basic("user", "s3:cret")
    assert known.known(right) is None
    assert not known.verify(wrong)
    assert known.known(right) is None
    assert known.verify(right)
    assert known.known(right) is True
    assert known.known(wrong) is None
    assert not known.verify(wrong)
    assert known.known(right) is True
    assert hashes == 3 * [kept.partition("$")[0]]


def test_beside_hashes_an_unknown_user_costs_a_hash_too(
    read: Callable[..., Credentials], hashes: list[str]
) -> None:
    known = read(f"user:{SCRYPT}\nplain:secret\n")
    hashes.clear()
    for user in ("other", "nobody", ""):
        assert known.known(basic(user, "s3:cret \u00e9")) is None
        assert not known.verify(basic(user, "s3:cret \u00e9"))
    assert hashes == 3 * ["scrypt:32768:8:1"]
    assert known.known(basic("plain", "secret")) is True


def test_the_hash_itself_is_no_secret(read: Callable[..., Credentials]) -> None:
    known = read(f"user:{SCRYPT}\n")
    assert known.known(basic("user", SCRYPT)) is None
    assert not known.verify(basic("user", SCRYPT))


@pytest.mark.parametrize(
    "header",
    [
        None,
        b"",
        b"Basic",
        b"Basic ",
        b"Bearer dXNlcjpzZWNyZXQ=",
        b"dXNlcjpzZWNyZXQ=",
        b"Basic dXNlcjpzZWNyZXQ",
        b"Basic dXNlcjpz!ZWNyZXQ=",
        b"Basic " + b64encode(b"user"),
        b"Basic " + b64encode(b"user:\xff"),
        b"Basic user:secret",
        b"Basic " + b64encode(b"user:secret") + b", Basic " + b64encode(b"user:secret"),
    ],
)
def test_what_is_no_basic_authentication_is_wrong(read: Callable[..., Credentials], header: bytes | None) -> None:
    known = read("user:secret\n")
    assert known.known(header) is False
    assert known.verify(header) is False


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC", "Basic  "])
def test_the_scheme_is_of_either_case(read: Callable[..., Credentials], scheme: str) -> None:
    assert read("user:secret\n").known(basic("user", "secret", scheme))


@given(st.binary() | st.binary().map(lambda value: b"Basic " + value) | st.text().map(lambda t: basic("user", t)))
@example(basic("user", "\0"))
def test_no_header_does_anything_but_be_wrong(header: bytes) -> None:
    for known in (Credentials({"user": "the secret"}), Credentials({"user": SCRYPT})):
        assert known.known(header) in {False, None}
        assert not known.verify(header)


def test_the_size_of_the_file_is_counted_in_bytes(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_text("a:b\n" + "#\u00e9\u00e9\u00e9\n" * (MOST_BYTES // 7) + "user:secret\n", "utf-8")
    path.chmod(0o600)
    with pytest.raises(CredentialsError, match="larger than"):
        read_credentials(str(path))


@pytest.mark.parametrize(
    "kept",
    ["pbkdf2:sha256:99999999999999999$s$00", "scrypt:99999999999999999999:8:1$s$00", "scrypt:-2:8:1$s$00"],
)
def test_an_absurd_hash_is_refused_with_one_sentence(read: Callable[..., Credentials], kept: str) -> None:
    with pytest.raises(CredentialsError, match=r"line 1: [^\n]*[^.]\.$"):
        read(f"user:{kept}\n")


def test_a_byte_order_mark_is_no_part_of_the_first_user(tmp_path: Path) -> None:
    path = tmp_path / "credentials"
    path.write_bytes(b"\xef\xbb\xbfuser:secret\r\n")
    path.chmod(0o600)
    assert read_credentials(str(path)).known(basic("user", "secret"))
