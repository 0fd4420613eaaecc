"""The face that every program reads without any set-up: the managed block of the hosts file.

``text`` knows the file's text, ``replace`` how to put a new text in its place, ``watch`` that others changed
it, and ``writer`` brings these together.
"""
