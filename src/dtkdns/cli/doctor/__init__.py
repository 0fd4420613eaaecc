"""`dtkdns doctor`: what of this machine and its dtkdns keeps names from resolving, and what to do.

`command.py` is the command and its screen; `examination.py` asks the machine (`machine.py`) and the service, and
has what they say judged: `service.py`, `hosts.py`, `writers.py`, `resolution.py`, `browsers.py`, and `firewall.py`
with `networks.py` (for whom), `ufw.py`, `firewalld.py` and `netfilter.py`. A check comes to a `Finding`.
"""
