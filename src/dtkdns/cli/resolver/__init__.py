"""`dtkdns resolver`: how this machine's resolver comes to ask dtkdns.

command (what was asked) -> following (with the person watching) -> required (what a recipe needs), applied (the
steps and the way back), asked (whether the resolver asks dtkdns now) -> recipes (what to write and to type)
"""
