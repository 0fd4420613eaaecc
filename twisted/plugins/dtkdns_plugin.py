"""Announces `twistd dtkdns`; the service itself is imported only when it is started."""

from twisted.application.service import ServiceMaker

dtkdns = ServiceMaker("dtkdns", "dtkdns.tap", "Names of Kubernetes Ingresses in the hosts file.", "dtkdns")
