"""What the shell is offered of the names and clusters that there are."""

from __future__ import annotations

from attrs import evolve

from dtkdns.cli.completion import clusters_in, names_in
from dtkdns.status import ClusterStatus, HiddenStatus
from examples import ADDRESS, HEALTHY

LAB = evolve(HEALTHY.names[0], name="foo.lab.io", cluster="lab", addresses=(ADDRESS, "fd00::a7"))
HIDDEN = HiddenStatus("Foo.example.com", "A", "", "default", "unmanaged", "it lies in no domain", ("dns", "hosts"))
NOTE = HiddenStatus("a-foo.dtk.io", "TXT", "", "default", "ownership", "a note", ("dns", "hosts"))
STRANGE = evolve(HIDDEN, name="foo$(reboot)\x1b[2J.dtk.io")
STATUS = evolve(HEALTHY, names=(*HEALTHY.names, LAB), hidden=(HIDDEN, NOTE, STRANGE))


def test_names_are_offered_with_their_addresses_shown_or_not() -> None:
    found = [(one.value, one.help) for one in names_in(STATUS, "foo")]
    assert found == [
        ("foo.dtk.io", ADDRESS),
        ("foo.example.com", "not shown"),
        ("foo.lab.io", f"{ADDRESS} fd00::a7"),
    ]


def test_only_names_that_begin_as_was_typed_are_offered() -> None:
    assert [one.value for one in names_in(STATUS, "foo.l")] == ["foo.lab.io"]
    assert names_in(STATUS, "bar") == []


def test_only_names_of_the_cluster_that_was_typed_are_offered() -> None:
    assert [one.value for one in names_in(STATUS, "", "lab")] == ["foo.lab.io"]


def test_clusters_are_offered_with_their_domains() -> None:
    status = evolve(HEALTHY, clusters=(*HEALTHY.clusters, ClusterStatus("lab", ("lab.io", "a.io"), (), 0, 0)))
    assert [(one.value, one.help) for one in clusters_in(status, "")] == [
        ("default", "dtk.io"),
        ("lab", "lab.io a.io"),
    ]
    assert [one.value for one in clusters_in(status, "l")] == ["lab"]
