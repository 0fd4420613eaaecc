"""Try a running dtkdns as external-dns uses it, and with `--ingress` the cluster too.

`report.py` has what a check comes to; `webhook.py` makes the calls; `record.py` has the life of one record,
`ingress.py` that of one Ingress; `__main__.py` is the command.
"""
