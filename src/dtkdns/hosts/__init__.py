"""The face that every program reads without any set-up: the managed block of the hosts file.

``entries`` renders its lines, ``markers`` tells which lines of a file are ours, ``text`` puts the block in and
takes it out, ``replace`` puts a new text in place, ``watch`` notices that others changed it, and ``writer`` brings
these together.
"""
