"""`dtkdns`: for the person at the prompt. It speaks to a running service over HTTP, like anyone else.

main (what was asked) -> client (which service, one call) -> status, names, why (what to say)
way (what is found out about one name) -> conclusion (what it comes to) -> why
doctor, resolver, helm, takeover, service: a command each; those that change this machine do it by plan
"""
