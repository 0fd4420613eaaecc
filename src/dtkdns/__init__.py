"""The webhook that ExternalDNS calls on a desktop, and the names that then resolve there.

One request flows through the modules in this order. Bytes come in at ``web`` (a Klein resource on Twisted's
HTTP server) and ``wire`` decodes them into the values of ``endpoint``. ``provider`` applies them to a
``cluster``, which is an immutable value, has ``store`` commit what changed, computes the next ``projection``
(which name resolves to which addresses) and hands that to every face; ``hosts`` is the face that writes
``/etc/hosts``. Everything up to ``projection`` is values in, values out; what can block has a thread of its
own; ``service`` is the life of the process and ``tap`` starts it under ``twistd``.
"""
