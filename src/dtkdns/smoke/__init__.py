"""Try a running dtkdns as external-dns uses it, and with `--ingress` the cluster too.

`command.py` is the command, which `__main__.py` starts; `webhook.py` makes the calls; `record.py` has the life of
one record, `ingress.py` that of one Ingress; `lookup.py` asks for a name as programs do; `report.py` has what a
check comes to.
"""
