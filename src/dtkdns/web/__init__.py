"""HTTP in and out: ``channel`` bounds what is taken in, ``gate`` decides who may call, ``webhook`` and
``management`` are the routes, ``answers`` and ``errors`` turn what they return or raise into replies, and
``site`` puts these together.
"""
