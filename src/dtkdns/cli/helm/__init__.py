"""`dtkdns helm-values`: what external-dns' Helm chart needs, so that external-dns calls this dtkdns.

command (where external-dns calls) -> values (pure: the file), rendered (what a chart makes of it), sidecar (a
script that is printed as it stands)
"""
