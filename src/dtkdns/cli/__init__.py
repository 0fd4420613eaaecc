"""`dtkdns`: for the person at the prompt. It speaks to a running service over HTTP, like anyone else.

main (what was asked) -> client (which service, one call) -> status, names (what to say)
"""
