"""Faults made for real on a desktop in namespaces, and what `dtkdns why` and `dtkdns doctor` make of each.

Each must be named, with what to do, by the command that is meant to; and nothing else may be blamed.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import frozen

from dtkdns.cli.doctor.finding import Finding, Level, fault, warning

from .desk import CLUSTER, FOO, Desk, desk, need

GONE = "192.168.122.99"
"""Where the cluster was before."""
BLOCKED = ("no external-dns was seen since dtkdns started", "may it call, through the firewall")
WILDCARD = {**FOO, "dnsName": "*.apps.dtk.io"}


@frozen
class Case:
    """A fault, and what is expected of both commands."""

    make: Callable[[Desk], object]
    """Starts dtkdns too, before or after."""
    why: tuple[str, str] | None = None
    """What its conclusion holds: what is wrong, and what to do; None where all must be well."""
    doctor: tuple[Finding, ...] = ()
    """Its warnings and faults: their details and advice hold these."""
    asked: str = "foo.dtk.io"
    later: str = ""
    """How long after it was made both are asked (faketime(1))."""
    needs: tuple[str, ...] = ()
    """Programs."""


# The service


def stop_the_service(desk: Desk) -> None:
    desk.healthy().stop()


def move_to_another_port_and_state(desk: Desk) -> None:
    desk.serve("--port", "5001").kill()
    desk.healthy("--state", f"{desk.directory}/other")


def ask_for_credentials(desk: Desk) -> None:
    credentials = desk.directory / "credentials"
    credentials.write_text("dtk:3b9f6c8e1d2a4f70\n")
    credentials.chmod(0o600)
    desk.serve("--credentials", str(credentials))


def manage_no_domain(desk: Desk) -> None:
    desk.serve(domains="")
    assert desk.call("/adjustendpoints", [FOO]) == 200


def know_no_address(desk: Desk) -> None:
    desk.serve()
    assert desk.send({**FOO, "recordType": "A", "targets": ["10.96.0.7"]}) == 204


def announce_another_machine(desk: Desk) -> None:
    config = desk.directory / "config.yaml"
    config.write_text("dns:\n  domain: dtk.io\n  host-ip: 192.168.0.99\n  webhook-port: 5000\n")
    desk.healthy("--config", str(config))


# Its records


def fill_the_disk(desk: Desk) -> None:
    desk.run("mkdir /var/lib/dtkdns; mount -t tmpfs -o size=1m state /var/lib/dtkdns")
    desk.healthy()
    desk.run("dd if=/dev/zero of=/var/lib/dtkdns/filler bs=4096 || true")
    assert any(desk.send({**FOO, "dnsName": f"a{number}.dtk.io"}) == 503 for number in range(40))


def lock_the_disk(desk: Desk) -> None:
    desk.run("mkdir /var/lib/dtkdns; mount -t tmpfs -o ro state /var/lib/dtkdns")
    desk.serve()


def damage_the_records(desk: Desk) -> None:
    desk.healthy().kill()
    desk.run("cd /var/lib/dtkdns; rm records.sqlite-*; head -c 65536 /dev/urandom > records.sqlite")
    desk.serve()


# External-dns, and its way to the service


def call_never(desk: Desk) -> None:
    desk.serve()
    desk.post("/clusterip", CLUSTER)


def fall_silent(desk: Desk) -> None:
    desk.healthy()
    while (
        json.loads(desk.run("curl -s --noproxy '*' http://127.0.0.1:5000/status"))["external_dns"][0]["interval"]
        is None
    ):
        assert desk.call("/adjustendpoints", []) == 200


def refuse_unless_allowed(desk: Desk) -> None:
    desk.run(
        """
        nft add table inet own
        nft 'add chain inet own input { type filter hook input priority 0; policy drop; }'
        nft add rule inet own input iifname lo accept
        nft add rule inet own input ct state established,related accept
        nft add rule inet own input tcp dport 22 accept
        """
    )
    be_called_in_vain(desk)


def refuse_the_port(desk: Desk) -> None:
    desk.run(
        """
        nft add table inet own
        nft 'add chain inet own input { type filter hook input priority 0; }'
        nft add rule inet own input iifname virbr0 tcp dport 5000 drop
        """
    )
    be_called_in_vain(desk)


def switch_ufw_on(desk: Desk) -> None:
    shutil.copytree("/etc/ufw", desk.etc / "ufw", symlinks=True)
    shutil.copytree("/etc/default", desk.etc / "default", symlinks=True)
    desk.run("ufw --force enable")
    be_called_in_vain(desk)


def be_called_in_vain(desk: Desk) -> None:
    desk.serve()
    desk.post("/clusterip", CLUSTER)
    assert desk.send(FOO) == 0


# Names


def send_a_wildcard(desk: Desk) -> None:
    desk.healthy()
    assert desk.send(WILDCARD) == 204


def send_a_wildcard_without_dns(desk: Desk) -> None:
    desk.healthy("--dns", "off")
    assert desk.send(WILDCARD) == 204


def send_a_text(desk: Desk) -> None:
    desk.healthy()
    assert desk.send({"dnsName": "note.dtk.io", "recordType": "TXT", "targets": ["hello"]}) == 204


def send_an_underscore(desk: Desk) -> None:
    desk.healthy()
    assert desk.send({**FOO, "dnsName": "my_app.dtk.io"}) == 204


def claim_it_for_another_cluster(desk: Desk) -> None:
    desk.healthy()
    desk.post("/clusters/lab/domains", "dtk.io")
    desk.post("/clusters/lab/clusterip", GONE)
    assert desk.send(FOO, base="/clusters/lab") == 204


def fight_for_it(desk: Desk) -> None:
    desk.healthy()
    for _ in range(4):
        assert desk.call("/records", {"delete": [FOO]}) == 204
        assert desk.call("/records", {"create": [FOO]}) == 204


def stop_the_ingress_controller(desk: Desk) -> None:
    desk.healthy()
    desk.ingress.kill()
    desk.ingress.wait()


# The hosts file


def write_a_line_of_ones_own(desk: Desk) -> None:
    service = desk.healthy()
    desk.run("echo 10.0.0.7 foo.dtk.io >> /etc/hosts")
    assert next(line for line in service.lines() if "a line of your own" in line)


def lock_the_hosts_file(desk: Desk) -> None:
    desk.serve()
    desk.post("/clusterip", CLUSTER)
    desk.run("mount -o remount,bind,ro /etc")
    assert desk.send(FOO) == 503


def mount_the_hosts_file(desk: Desk) -> None:
    (desk.directory / "hosts").write_bytes((desk.etc / "hosts").read_bytes())
    desk.run(f"mount --bind {desk.directory}/hosts /etc/hosts")
    desk.healthy()


def keep_another_file(desk: Desk) -> None:
    other = desk.directory / "hosts"
    other.write_bytes((desk.etc / "hosts").read_bytes())
    desk.healthy("--hosts-file", str(other))


def write_nothing(desk: Desk) -> None:
    desk.healthy("--dry-run")


def move_into_a_container(desk: Desk) -> None:
    """The block stays as it was, while the cluster moves."""
    service = desk.healthy()
    desk.post("/clusterip", GONE)
    service.stop()
    shutil.copytree(desk.etc, desk.directory / "inside", symlinks=True)
    script = f'mount --bind {desk.directory}/inside /etc; exec "$@"'
    desk.serve(within=["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"])
    desk.post("/clusterip", CLUSTER)


def tear_the_block(desk: Desk) -> None:
    """By one who does not let dtkdns mend it."""
    desk.healthy().stop()
    shutil.copytree(desk.etc, desk.directory / "inside", symlinks=True)
    script = f'mount --bind {desk.directory}/inside /etc; exec "$@"'
    desk.run("sed -i '/^# END dtkdns/d' /etc/hosts")
    desk.serve(within=["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"])


def leave_a_block_behind(desk: Desk) -> None:
    follow_the_recipe(desk)
    service = desk.healthy()
    desk.post("/clusterip", GONE)
    service.kill()
    desk.healthy("--hosts-file", "none", "--state", f"{desk.directory}/other")


# How names are looked up


def run_dnsmasq(desk: Desk, configuration: str = "") -> None:
    """As the resolver of the desktop."""
    desk.write("resolv.conf", "nameserver 127.0.0.1\n")
    (desk.etc / "dnsmasq.d").mkdir()
    if configuration:
        desk.write("dnsmasq.d/dtkdns.conf", configuration)
    configured = ["--conf-file=/dev/null", "--conf-dir=/etc/dnsmasq.d,*.conf", "--no-resolv", "--no-hosts"]
    options = ["--no-daemon", "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/io/"]
    desk.start("dnsmasq", *options, *configured, ready="started")


def follow_the_recipe(desk: Desk, domain: str = "dtk.io") -> None:
    run_dnsmasq(desk, f"server=/{domain}/127.0.0.1#5053\nrebind-domain-ok=/{domain}/\n")


def follow_the_recipe_of_before(desk: Desk) -> None:
    follow_the_recipe(desk, "dtk.org")
    send_a_wildcard(desk)


def run_dnsmasq_without_recipe(desk: Desk) -> None:
    run_dnsmasq(desk)
    send_a_wildcard(desk)


def keep_no_file_and_follow_no_recipe(desk: Desk) -> None:
    run_dnsmasq(desk)
    desk.healthy("--hosts-file", "none")


def look_up(*sources: str) -> Callable[[Desk], None]:
    """With these sources for hosts in nsswitch.conf(5)."""

    def make(desk: Desk) -> None:
        desk.write("nsswitch.conf", f"passwd: files\nhosts: {' '.join(sources)}\n")
        desk.healthy()

    return make


def keep_resolved_from_the_file(desk: Desk) -> None:
    desk.write("resolv.conf", "nameserver 127.0.0.53\n")
    desk.write("systemd/resolved.conf", "[Resolve]\nReadEtcHosts=no\n")
    desk.healthy()


def with_file(path: str, text: str) -> Callable[[Desk], None]:
    """Beside a file under /etc that is of another program."""

    def make(desk: Desk) -> None:
        desk.write(path, text)
        desk.healthy()

    return make


def with_lines_of_docker_desktop(desk: Desk) -> None:
    lines = ("# Added by Docker Desktop", "192.168.0.12 host.docker.internal", "# End of section")
    desk.run("".join(f"echo '{line}' >> /etc/hosts\n" for line in lines))
    desk.healthy()


HEALTHY = {
    "the hosts file alone": Case(lambda desk: desk.healthy()),
    "the hosts file and DNS": Case(
        lambda desk: (follow_the_recipe(desk), send_a_wildcard(desk)), asked="x.apps.dtk.io", needs=("dnsmasq",)
    ),
    "DNS alone": Case(
        lambda desk: (follow_the_recipe(desk), desk.healthy("--hosts-file", "none")), needs=("dnsmasq",)
    ),
}

FAULTS = {
    "the service is stopped": Case(
        stop_the_service,
        ("No answer from http://127.0.0.1:5000", "Is dtkdns running"),
        (fault("service", "No answer from http://127.0.0.1:5000", "Is dtkdns running"),),
    ),
    "the service is at another port than it was": Case(
        move_to_another_port_and_state,
        ("No answer from http://127.0.0.1:5001", "is this the port it says in its log"),
        (fault("service", "No answer from http://127.0.0.1:5001", "One answers at http://127.0.0.1:5000"),),
    ),
    "the service asks for credentials": Case(
        ask_for_credentials,
        ("The credentials are missing", "Give --credentials FILE"),
        (fault("service", "The credentials are missing", "Give --credentials FILE"),),
    ),
    "no domain is managed": Case(
        manage_no_domain,
        ("No domain is managed", "start dtkdns with --domains"),
        (fault("clusters", "Cluster default has no managed domain", "Give --domains"),),
    ),
    "the address of the cluster is not known": Case(
        know_no_address,
        ("It resolves to 10.96.0.7, as the cluster itself says", "(--cluster-ip, POST /clusterip)"),
        (fault("clusters", "The address of cluster default is not known", "Give --cluster-ip"),),
    ),
    "host-ip is another machine": Case(
        announce_another_machine,
        None,
        (fault("host-ip", "192.168.0.99 is no address of this machine", "Put one of these into host-ip"),),
    ),
    "the disk of the records is full": Case(
        fill_the_disk,
        ("(database or disk is full)", "See to that disk"),
        (fault("store", "(database or disk is full)", "See to that disk"),),
        asked="a39.dtk.io",
    ),
    "the records cannot be read": Case(
        lock_the_disk,
        ("Read-only file system", "See to that disk"),
        (fault("store", "Read-only file system", "See to that disk"),),
    ),
    "the records are lost": Case(
        damage_the_records,
        ("The stored records were lost", "in its next pass, if it runs (kubectl"),
        (fault("store", "The stored records were lost", "in its next pass, if it runs (kubectl"),),
    ),
    "external-dns has never called": Case(
        call_never,
        BLOCKED,
        (warning("external-dns", "None of cluster default has called for 10 min", "Is it running (kubectl"),),
        later="+10m",
        needs=("faketime",),
    ),
    "external-dns has fallen silent": Case(
        fall_silent,
        ("external-dns has been silent for 10 min", "is it running (kubectl"),
        (fault("external-dns", "That of cluster default has been silent for 10 min", "Is the cluster running"),),
        asked="new.dtk.io",
        later="+10m",
        needs=("faketime",),
    ),
    "nftables lets in nothing that no rule names": Case(
        refuse_unless_allowed,
        BLOCKED,
        (warning("firewall", "none names port 5000, which 192.168.122.0/24 (virbr0)", "sudo nft list ruleset"),),
        needs=("nft",),
    ),
    "nftables refuses the port": Case(
        refuse_the_port,
        BLOCKED,
        (warning("firewall", "A rule refuses what comes in to port 5000", "sudo nft list ruleset"),),
        needs=("nft",),
    ),
    "ufw does not let the VMs in": Case(
        switch_ufw_on,
        BLOCKED,
        (
            fault(
                "firewall",
                "It does not let 192.168.122.0/24 (virbr0) call port 5000",
                "sudo ufw allow from 192.168.122.0/24 to any port 5000 proto tcp",
            ),
        ),
        needs=("ufw",),
    ),
    "the name lies outside the domain": Case(
        lambda desk: desk.healthy(),
        ("It lies in none of the managed domains (dtk.io)", "use a name in one of them"),
        asked="foo.example.com",
    ),
    "nobody has sent the name": Case(
        lambda desk: desk.healthy(),
        ("No cluster has sent a record of it", "is there an Ingress with this host"),
        asked="bar.dtk.io",
    ),
    "the name has an underscore": Case(
        send_an_underscore,
        ("it is not made of letters, digits and hyphens", "Give the Ingress another host."),
        asked="my_app.dtk.io",
    ),
    "the name has a TXT record only": Case(
        send_a_text,
        ("no A, AAAA or CNAME record was sent, but TXT", "it needs an Ingress with this host"),
        asked="note.dtk.io",
    ),
    "the name is another cluster's": Case(
        claim_it_for_another_cluster,
        ("cluster default had the name first and keeps it", "give one of the two Ingresses another host"),
        (fault("clusters", "foo.dtk.io: cluster lab: cluster default had the name first", "dtkdns why NAME"),),
    ),
    "two external-dns fight for the name": Case(
        fight_for_it,
        ("two external-dns undo each other's CNAME record", "give each Kubernetes cluster a base of its own"),
        (fault("clusters", "foo.dtk.io: two external-dns undo each other's CNAME", "dtkdns why NAME"),),
    ),
    "nothing listens there": Case(
        stop_the_ingress_controller,
        (f"It resolves to {CLUSTER}, but nothing takes connections there", "is the cluster running"),
    ),
    "a line of the user's own is in the way": Case(
        write_a_line_of_ones_own,
        ("A line of your own in /etc/hosts says 10.0.0.7, and it wins (line 2)", "remove it to see"),
        (fault("clusters", "foo.dtk.io: a line of your own in /etc/hosts says 10.0.0.7", "dtkdns why NAME"),),
    ),
    "the hosts file is read-only": Case(
        lock_the_hosts_file,
        ("/etc/hosts cannot be written, its file system is read-only", "mount -o remount,rw"),
        (fault("hosts file", "/etc/hosts cannot be written, its file system is read-only", "tries again"),),
    ),
    "the hosts file is mounted": Case(
        mount_the_hosts_file,
        None,
        (
            warning(
                "way of writing", "/etc/hosts is written in place (because a rename is refused", "Undo the cause"
            ),
        ),
    ),
    "another file is kept": Case(
        keep_another_file,
        ("and the resolver reads /etc/hosts", "Give no --hosts-file."),
        (fault("hosts file", ", and programs read /etc/hosts.", "Start dtkdns without --hosts-file."),),
    ),
    "nothing is written": Case(
        write_nothing,
        ("/etc/hosts does not have the name, which dtkdns shows", "does it run with --dry-run"),
        (fault("hosts file", "/etc/hosts has no block of dtkdns", "Does dtkdns run with --dry-run"),),
    ),
    "the block is stale": Case(
        move_into_a_container,
        (f"says {GONE}, as line 3 of /etc/hosts has it, in a block that is stale", "start dtkdns again"),
        (fault("hosts file", "/etc/hosts has a stale block: foo.dtk.io", "dtkdns runs in a container"),),
    ),
    "the block is torn": Case(
        tear_the_block,
        None,
        (fault("hosts file", "/etc/hosts has a block that was changed by others", "Start dtkdns again"),),
    ),
    "the block is that of another state": Case(
        leave_a_block_behind,
        (f"says {GONE}, as line 3 of /etc/hosts has it, in the block of a dtkdns", "remove the lines from"),
        (fault("hosts file", "/etc/hosts has a block of dtkdns, although none is kept", "remove the lines from"),),
        needs=("dnsmasq",),
    ),
    "a wildcard without the recipe for DNS": Case(
        run_dnsmasq_without_recipe,
        ("it does not ask dtkdns, which knows the name", "dtkdns resolver says how"),
        (
            warning(
                "resolver", "dnsmasq does not ask dtkdns, so no name of *.apps.dtk.io", "dtkdns resolver prints it"
            ),
        ),
        asked="x.apps.dtk.io",
        needs=("dnsmasq",),
    ),
    "a recipe for other domains": Case(
        follow_the_recipe_of_before,
        ("it does not ask dtkdns, which knows the name", "dtkdns resolver says how"),
        (warning("resolver", "/etc/dnsmasq.d/dtkdns.conf has other domains", "Write it anew"),),
        asked="x.apps.dtk.io",
        needs=("dnsmasq",),
    ),
    "a wildcard without DNS": Case(
        send_a_wildcard_without_dns,
        ("*.apps.dtk.io was sent and covers it, but only DNS can show a wildcard", "start dtkdns with --dns"),
        (warning("resolver", "dtkdns answers no DNS, so no name of *.apps.dtk.io", "Start dtkdns with --dns"),),
        asked="x.apps.dtk.io",
    ),
    "neither a hosts file nor the recipe for DNS": Case(
        keep_no_file_and_follow_no_recipe,
        ("it does not ask dtkdns, which knows the name", "dtkdns resolver says how"),
        (fault("resolver", "no name resolves: no hosts file is kept", "dtkdns resolver prints it"),),
        needs=("dnsmasq",),
    ),
    "nsswitch.conf without files": Case(
        look_up("dns"),
        ("/etc/nsswitch.conf says 'hosts: dns'.", "Put 'files' in front."),
        (fault("lookup order", "/etc/nsswitch.conf says 'hosts: dns'.", "Put 'files' in front."),),
    ),
    "nsswitch.conf with dns before files": Case(
        look_up("dns", "[NOTFOUND=return]", "files"),
        ("/etc/nsswitch.conf asks 'dns' before 'files'.", "Put 'files' in front"),
        (fault("lookup order", "/etc/nsswitch.conf asks 'dns' before 'files'.", "Put 'files' in front"),),
    ),
    "systemd-resolved does not read the hosts file": Case(
        keep_resolved_from_the_file,
        None,
        (warning("systemd-resolved", "/etc/systemd/resolved.conf says ReadEtcHosts=no", "Remove that line"),),
    ),
    "cloud-init writes the hosts file": Case(
        with_file("cloud/cloud.cfg", "manage_etc_hosts: true\n"),
        None,
        (warning("other writers", "cloud-init writes the hosts file anew", "Set manage_etc_hosts: false"),),
    ),
    "Docker Desktop writes the hosts file": Case(
        with_lines_of_docker_desktop,
        None,
        (warning("other writers", "Docker Desktop writes the hosts file too", "switch off its setting"),),
    ),
    "Chromium asks by DNS-over-HTTPS": Case(
        with_file("chromium/policies/managed/a.json", '{"DnsOverHttpsMode": "secure"}'),
        None,
        (warning("browsers", "Chromium asks by DNS-over-HTTPS only", 'Set "DnsOverHttpsMode": "automatic"'),),
    ),
    "Firefox asks by DNS-over-HTTPS": Case(
        with_file("firefox/policies/policies.json", '{"policies": {"DNSOverHTTPS": {"Enabled": true}}}'),
        None,
        (warning("browsers", "Firefox asks by DNS-over-HTTPS first", '"ExcludedDomains" there: "dtk.io"'),),
    ),
}


@pytest.mark.namespace
@pytest.mark.parametrize("name", [*HEALTHY, *FAULTS])
def test_a_fault_is_named_with_what_to_do_and_nothing_else_is_blamed(name: str, tmp_path: Path) -> None:
    case = (HEALTHY | FAULTS)[name]
    for program in ("ip", "curl", *case.needs):
        need(program)
    with desk(tmp_path) as place:
        case.make(place)
        why, doctor = place.ask(["why", case.asked], ["doctor"], later=case.later)
    concluded = why.found.get("conclusion", why.sentence)
    findings = [Finding(**one) for one in doctor.found["findings"]]
    complaints = [one for one in findings if one.level in {Level.WARNING, Level.FAULT}]
    print(f"{name} | {concluded} | {' '.join(f'{one.check}: {one.detail} {one.advice}' for one in complaints)}")
    for part in case.why or ("All is well: it resolves to",):
        assert part in concluded
    assert why.status == int(case.why is not None)
    assert why.found.get("well", False) is (case.why is None)
    assert [(one.check, one.level) for one in complaints] == [(one.check, one.level) for one in case.doctor]
    for found, expected in zip(complaints, case.doctor, strict=True):
        assert expected.detail in found.detail
        assert expected.advice in found.advice
    assert doctor.status == int(any(one.level is Level.FAULT for one in case.doctor))
    assert doctor.sentence == ""
