"""`dtkdns import`: what DTK's `hostsfile-server.py` left in the hosts file.

command -> oldlines (what is said of them), oldserver (whether that server is still there), removal (the write)
"""
