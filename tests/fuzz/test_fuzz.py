"""The fuzz targets, each for a bounded number of runs from the inputs that are kept in `corpus`.

`DTKDNS_TEST_FUZZ_RUNS` is the number of runs of each; by default one takes about half a minute.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def fuzz(target: str, corpus: Path, *options: str) -> tuple[bool, str]:
    """Whether the target ran to its end, and what it said, with the input that it stopped at."""
    found = corpus.parent / "found"
    found.mkdir()
    ran = subprocess.run(
        [
            *(sys.executable, HERE / f"{target}.py", corpus),
            *(f"-dict={HERE / target}.dict", f"-artifact_prefix={found}/", "-timeout=20", "-rss_limit_mb=2048"),
            *options,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    inputs = [f"{path.name}: {path.read_bytes().hex()}" for path in sorted(found.iterdir())]
    said = "\n".join([ran.stdout.decode(errors="replace"), *inputs])
    return ran.returncode == 0 and not inputs, said


# The fuzzer itself watches over each input's time; how long all of them take is for the number of runs to say.
@pytest.mark.timeout(0)
@pytest.mark.parametrize(("target", "runs"), [("wire", 130_000), ("hosts_text", 12_000), ("dns_packets", 90_000)])
def test_the_properties_hold_for_what_the_fuzzer_makes_of_the_corpus(
    target: str, runs: int, tmp_path: Path
) -> None:
    corpus = tmp_path / "corpus"
    shutil.copytree(HERE / "corpus" / target, corpus)
    runs = int(os.environ.get("DTKDNS_TEST_FUZZ_RUNS", runs))
    ran, said = fuzz(target, corpus, f"-runs={runs}")
    assert ran, said
    done = re.search(r"^Done (\d+) runs", said, re.MULTILINE)
    assert done is not None, said
    assert int(done[1]) >= runs
