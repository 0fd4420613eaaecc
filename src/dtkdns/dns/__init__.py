"""The DNS server for the managed domains: what a hosts file cannot do.

    server -> replies -> query (bytes in) -> answers (what is so) <- zone (what there is) -> replies (bytes out)

It is authoritative for the managed domains and nothing else: it is no resolver, and never asks another server.
"""
