"""Every test here has a Kubernetes namespace of its own, in the API that `tests/cluster.py` has brought up."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from cluster import Namespaced


def _namespaced() -> Namespaced:
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.fail("These tests need a Kubernetes API of their own: run them by `tox -e cluster`.")
    return Namespaced.of(Path(kubeconfig), f"test-{uuid.uuid4().hex[:12]}")


namespaced = pytest.fixture(_namespaced, name="namespaced")
other = pytest.fixture(_namespaced, name="other")
