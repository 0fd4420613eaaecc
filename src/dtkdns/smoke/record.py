"""The life of one record, made by the calls that external-dns makes."""

from __future__ import annotations

from pathlib import Path

from attrs import define, field

from dtkdns.names import inside
from dtkdns.smoke.lookup import advice_for_the_resolver, in_hosts_file, resolved
from dtkdns.smoke.report import FaultError, NothingToSayError, Report
from dtkdns.smoke.webhook import JSON, Document, Webhook, decoded, require

REMOVED = "removed by external-dns (registry noop)"
TARGET = "192.0.2.1"
"""An address of no machine (RFC 5737); shown only where no cluster address is known."""


@define
class RecordLife:
    """A record with a name that nobody has, created, looked for, and removed."""

    webhook: Webhook
    report: Report
    hosts_file: Path
    label: str
    """The first label of the name."""
    domain: str = ""
    _expected: tuple[str, ...] = (TARGET,)
    _created: bool = field(default=False, init=False)

    @property
    def name(self) -> str:
        return f"{self.label}.{self.domain}"

    @property
    def _document(self) -> Document:
        # The owner is another one than external-dns': its registry `txt` leaves the record alone.
        labels = {"owner": "dtkdns-smoke", "resource": "dtkdns-smoke/record"}
        return {
            "dnsName": self.name,
            "targets": [TARGET],
            "recordType": "A",
            "recordTTL": 60,
            "labels": labels,
        }

    async def run(self) -> None:
        """Go through the whole life; the record is removed whatever happens."""
        held = removed = False
        try:
            held = await self.report.go(
                [
                    ("GET / names the managed domains", self._negotiate),
                    ("GET /records gives the records", self._count),
                    ("GET /clusterip gives the cluster's address", self._address),
                    ("POST /adjustendpoints leaves a record as it is", self._adjust),
                    ("POST /records creates it", self._create),
                    ("GET /records has it as it was sent", self._find_stored),
                    ("the hosts file has its name", self._find_in_hosts_file),
                    ("its name resolves", self._find_resolved),
                ]
            )
        finally:
            if self._created:
                removed = await self.report.go([("POST /records removes it", self._delete)], always=True)
        if held and removed:
            await self.report.go(
                [
                    ("it is gone from the records", self._miss_stored),
                    ("it is gone from the hosts file", self._miss_in_hosts_file),
                    ("its name no longer resolves", self._miss_resolved),
                    ("calls that change the rules are taken from here", self._manage),
                ]
            )

    async def _negotiate(self) -> str:
        reply = await self.webhook.call("GET", "")
        require(reply, 200)
        included = decoded(reply, dict[str, object]).get("include")
        domains = [str(domain) for domain in included] if isinstance(included, list) else []
        if not domains:
            raise FaultError(
                "No domain is managed: external-dns would create nothing.",
                f"curl -X POST {self.webhook.url}/domains -d dtk.io, and restart external-dns.",
            )
        if self.domain and not inside(self.domain, domains):
            raise FaultError(
                f"{self.domain} is not among the managed domains: {', '.join(domains)}.",
                f"curl -X POST {self.webhook.url}/domains -d {self.domain}, and restart external-dns.",
            )
        self.domain = self.domain or domains[0]
        return ", ".join(domains)

    async def _count(self) -> str:
        return str(len(await self.webhook.records()))

    async def _address(self) -> str:
        reply = await self.webhook.call("GET", "/clusterip")
        require(reply, 200, JSON)
        address = decoded(reply, str)
        self._expected = (address, TARGET) if address else (TARGET,)
        return address or "none is known: the records' own targets are shown"

    async def _adjust(self) -> str:
        reply = await self.webhook.call("POST", "/adjustendpoints", [self._document])
        require(reply, 200)
        if decoded(reply, list[Document]) != [self._document]:
            raise FaultError(f"It comes back as {reply.sentence}.", "Is another webhook listening there?")
        return ""

    async def _create(self) -> str:
        self._created = True
        await self.webhook.apply(create=[self._document])
        if await self._stored() is None:
            # external-dns may just have had a pass; not twice in the same moment.
            await self.webhook.apply(create=[self._document])
            if await self._stored() is None:
                raise FaultError(
                    "It is accepted and is not there.", "dtkdns' log says what became of it: report it."
                )
        return self.name

    async def _stored(self) -> Document | None:
        found = [one for one in await self.webhook.records() if one.get("dnsName") == self.name]
        return found[0] if found else None

    async def _find_stored(self) -> str:
        found = await self._still_stored()
        if found != self._document:
            raise FaultError(f"It comes back as {found}.", "external-dns would change it for ever: report it.")
        return ""

    async def _still_stored(self) -> Document:
        found = await self._stored()
        if found is None:
            raise NothingToSayError(REMOVED)
        return found

    async def _find_in_hosts_file(self) -> str:
        async def look() -> str | None:
            found = in_hosts_file(self.hosts_file, self.name)
            if set(found) & set(self._expected):
                self._expected = tuple(found)
                return ", ".join(found)
            await self._still_stored()
            return None

        async def late() -> FaultError:
            found = in_hosts_file(self.hosts_file, self.name)
            if found:
                wanted = " or ".join(self._expected)
                return FaultError(
                    f"{self.hosts_file} says {', '.join(found)} for {self.name} instead of {wanted}.",
                    "dtkdns' log says where a name leads, and why.",
                )
            return FaultError(
                f"{self.hosts_file} has no line for {self.name}.",
                "Run this on the machine that dtkdns runs on; there its log says why a name is not shown.",
            )

        return await self.report.until(look, late)

    async def _find_resolved(self) -> str:
        async def look() -> str | None:
            found = await resolved(self.name)
            if set(self._expected) <= set(found):
                return ", ".join(found)
            await self._still_stored()
            return None

        async def late() -> FaultError:
            found = await resolved(self.name)
            if found:
                return FaultError(
                    f"{self.name} leads to {', '.join(found)} instead of {', '.join(self._expected)}.",
                    "Something else answers for this domain first. " + advice_for_the_resolver(),
                )
            return FaultError(f"{self.name} does not resolve.", advice_for_the_resolver())

        return await self.report.until(look, late)

    async def _delete(self) -> str:
        await self.report.remove(
            lambda: self.webhook.apply(delete=[self._document]),
            f"curl -X DELETE {self.webhook.url}/names/{self.name}",
        )
        return ""

    async def _miss_stored(self) -> str:
        if await self._stored() is not None:
            raise FaultError(f"{self.name} is still there.", "Has something sent it again? See dtkdns' log.")
        return ""

    async def _miss_in_hosts_file(self) -> str:
        async def look() -> str | None:
            return None if in_hosts_file(self.hosts_file, self.name) else ""

        async def late() -> FaultError:
            return FaultError(f"{self.hosts_file} still has it.", "dtkdns' log says why the file is not written.")

        return await self.report.until(look, late)

    async def _miss_resolved(self) -> str:
        async def look() -> str | None:
            return None if set(self._expected) & set(await resolved(self.name)) else ""

        async def late() -> FaultError:
            advice = "Does nscd or another cache stand between (sudo nscd -i hosts)?"
            return FaultError(f"{self.name} still resolves.", advice)

        return await self.report.until(look, late)

    async def _manage(self) -> str:
        """Ask to forget a name that is not there: refused before it is looked up, or not found."""
        reply = await self.webhook.call("DELETE", f"/names/{self.name}")
        if reply.status != 404:
            raise FaultError(
                f"Status {reply.status}: {reply.sentence}",
                "DTK's two calls (/domains and /clusterip) must come from the machine that dtkdns runs on.",
            )
        return ""
