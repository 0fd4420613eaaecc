"""What listens in a VM, as a program of its own: `vm.py ADDRESS PORT ...`; it ends when it is killed.

On port 53 it is the nameserver of a network without names; on others it takes connections, as an ingress
controller does.
"""

from __future__ import annotations

import socket
import sys

NO_SUCH_NAME = b"\x81\x83"
"""The flags of a reply that says so (RFC 1035, section 4.1.1)."""


def main() -> None:
    address, *ports = sys.argv[1:]
    if ports != ["53"]:
        listening = [socket.create_server((address, int(port))) for port in ports]
        print("listens", flush=True)
        while listening:  # connections are taken by the kernel
            listening[0].accept()
    questions = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    questions.bind((address, 53))
    print("listens", flush=True)
    while True:
        question, peer = questions.recvfrom(4096)
        questions.sendto(question[:2] + NO_SUCH_NAME + question[4:], peer)


if __name__ == "__main__":
    main()
