"""The example of the page about providers is a provider: it passes the contract it is shown with."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parents[2]
PAGE = (HERE / "docs" / "providers.md").read_text(encoding="utf-8")


def shown(kind: str) -> str:
    found = re.search(rf"^```python {kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def test_the_pigeon_passes_the_contract(tmp_path: Path) -> None:
    (tmp_path / "pigeon.py").write_text(shown("provider"))
    (tmp_path / "test_pigeon.py").write_text(shown("test"))
    options = ["-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "-c", "/dev/null"]
    program = [sys.executable, "-m", "pytest", *options, str(tmp_path / "test_pigeon.py")]
    done = subprocess.run(
        program, cwd=tmp_path, capture_output=True, text=True, env={"PYTHONPATH": f"{HERE}:{tmp_path}"}, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
