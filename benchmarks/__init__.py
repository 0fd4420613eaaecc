"""How fast dtkdns is, beside the best there is for each thing that it does.

    python -m benchmarks [--quick] [--only GROUP] [--runs N]

starts dtkdns and its peers on scratch files, measures them in turn, and prints a table: ratios, which are the
result, and the values they come from. `measures.py` says what a measure is. A group of measures is a module that
yields what one run at one size has found: `webhook.py`, `pauses.py`, `rates.py`, `answers.py`, `clusters.py`,
`hosts.py`, `decoding.py`. `reaction.py` is a command of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

# The programs on the other side, and dtkdns as a process, are those of the tests.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
