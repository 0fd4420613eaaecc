"""Checks of our own, which schemathesis makes beside its own: it loads this module."""

from __future__ import annotations

import schemathesis
from schemathesis import Case, CheckContext, Response


@schemathesis.check
def takes_every_record(_context: CheckContext, response: Response, case: Case) -> None:
    """No record that external-dns can send is refused: a 4xx would end it.

    JSON Schema counts `300.0` as an integer, and Go does not.
    """
    sent = case.meta is not None and case.meta.generation.mode.is_positive and case.method == "POST"
    if sent and case.path.endswith(("/records", "/adjustendpoints")) and "got `float`" not in response.text:
        assert response.status_code in {200, 204}, response.text


@schemathesis.check
def refuses_strangers(_context: CheckContext, response: Response, case: Case) -> None:
    """Without credentials nothing is told but that dtkdns runs, not even whether there is such a path."""
    expected = {200, 405} if case.path == "/healthz" else {400, 401, 404}
    assert response.status_code in expected, response.text
    assert ("www-authenticate" in response.headers) == (response.status_code == 401)
