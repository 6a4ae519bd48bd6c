"""Golden files: expected text beside the code, in `testdata/`. NETLOOM_GOLDEN=1 writes them anew; read the diff."""

from __future__ import annotations

import os
from pathlib import Path


def check_golden(path: Path, text: str) -> None:
    """Compare with the file, or write it when asked to. Raises AssertionError."""
    if os.environ.get("NETLOOM_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert path.exists(), f"{path} is missing: NETLOOM_GOLDEN=1 writes it"
    assert text == path.read_text(encoding="utf-8"), f"differs from {path}: NETLOOM_GOLDEN=1 writes it anew"
