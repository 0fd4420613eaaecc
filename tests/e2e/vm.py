"""What a VM of the cluster listens with: an ingress controller on 80 and 443; and the network's nameserver.

Run as a program of its own, inside the network of the VM: `vm.py ADDRESS [PORT ...]`. It ends with its standard
input.
"""

from __future__ import annotations

import socket
import sys
import threading

NO_SUCH_NAME = b"\x81\x83"
"""The flags of a reply that says so (RFC 1035, section 4.1.1)."""


def answer(questions: socket.socket) -> None:
    """Say of every name that there is none."""
    while True:
        question, peer = questions.recvfrom(4096)
        questions.sendto(question[:2] + NO_SUCH_NAME + question[4:], peer)


def main() -> None:
    address, *ports = sys.argv[1:]
    listening = [socket.create_server((address, int(port))) for port in ports]
    questions = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    questions.bind((address, 53))
    threading.Thread(target=answer, args=(questions,), daemon=True).start()
    print(f"listens {len(listening)} times", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
