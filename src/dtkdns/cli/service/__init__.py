"""dtkdns as a service of systemd.

install, uninstall (what there is to do) -> installation (this program and its options) -> unit (pure: the texts)
"""
