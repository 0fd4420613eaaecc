"""Users and their secrets, for Basic authentication (RFC 7617), from a file of lines `user:secret`."""

from __future__ import annotations

import binascii
import hmac
import os
import re
import secrets
import stat
from base64 import b64decode
from collections.abc import Mapping

from attrs import define, field
from werkzeug.security import check_password_hash

MOST_BYTES = 64 * 1024
"""Of the file."""

_HASH = re.compile(r"(scrypt|pbkdf2):[^$]*\$[^$]+\$[0-9a-f]+", re.ASCII)
_FOREIGN_HASH = re.compile(r"\$(2[abxy]|apr1|argon2\w*|1|5|6|7|y)\$|\{\w+\}", re.ASCII)
_NOBODY = "scrypt:32768:8:1$nobody$" + "0" * 128


class CredentialsError(Exception):
    """The file cannot be used; the message is a sentence."""


@define
class Credentials:
    """Who is known, and by what secret or salted hash of it (in the form of `werkzeug.security`).

    A hash takes tens of milliseconds to compare with, so one that was found right is remembered, as a digest
    with a key of this process alone.
    """

    _users: Mapping[str, str] = field(repr=False)
    _verified: dict[str, bytes] = field(factory=dict, init=False, repr=False)
    _key: bytes = field(factory=lambda: secrets.token_bytes(32), init=False, repr=False)

    def known(self, authorization: bytes | None) -> bool | None:
        """Whether an `Authorization` header's value is right; None when only `verify` can tell."""
        given = _parse(authorization)
        if given is None:
            return False
        user, secret = given
        expected = self._users.get(user, _NOBODY)
        if _HASH.fullmatch(expected) is None:
            return hmac.compare_digest(self._digest(expected), self._digest(secret))
        if hmac.compare_digest(self._verified.get(user, b""), self._digest(secret)):
            return True
        return None if self._hashed else False

    def verify(self, authorization: bytes | None) -> bool:
        """Whether it is right. Blocks while it computes; an unknown user takes as long as a known one."""
        given = _parse(authorization)
        if given is None:
            return False
        user, secret = given
        right = check_password_hash(self._users.get(user, _NOBODY), secret)
        if right:
            self._verified[user] = self._digest(secret)
        return right

    @property
    def _hashed(self) -> bool:
        return any(_HASH.fullmatch(expected) for expected in self._users.values())

    def _digest(self, secret: str) -> bytes:
        return hmac.digest(self._key, secret.encode("utf-8"), "sha256")


def read_credentials(path: str) -> Credentials:
    """The credentials in a file; empty lines and those that begin with `#` mean nothing.

    Raises `CredentialsError`, also for a file that other users can read or write.
    """
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise CredentialsError(f"{path} is larger than {MOST_BYTES} bytes.")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise CredentialsError(f"{path} is not UTF-8.") from error
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise CredentialsError(f"{path} is open to other users: chmod 600 {path}.")
    users: dict[str, str] = {}
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        user, colon, secret = line.partition(":")
        try:
            _check(user, colon, secret, users)
        except (ValueError, TypeError, OverflowError) as error:
            raise CredentialsError(f"{path}, line {number}: {str(error).rstrip('.')}.") from error
        users[user] = secret
    if not users:
        raise CredentialsError(f"{path} holds nobody: write a line user:secret.")
    return Credentials(users)


def _check(user: str, colon: str, secret: str, users: Mapping[str, str]) -> None:
    """Raise `ValueError` with the end of a sentence."""
    if not user or not colon or not secret:
        raise ValueError("it is not user:secret")
    if user in users:
        raise ValueError("its user was there before")
    if _FOREIGN_HASH.match(secret):
        raise ValueError(
            "a hash of this kind is not understood; make one with werkzeug.security.generate_password_hash"
        )
    if _HASH.fullmatch(secret):
        check_password_hash(secret, "")
    elif secret.startswith(("scrypt:", "pbkdf2:")):
        raise ValueError("its hash is not whole")


def _parse(authorization: bytes | None) -> tuple[str, str] | None:
    """User and secret of a header's value; None where it is not Basic authentication."""
    scheme, _, value = (authorization or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        user, colon, secret = b64decode(value.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, secret) if colon else None
