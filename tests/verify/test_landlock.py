"""What a process may still write once it has given up the rest, tried in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from advisor.verify import landlock

_ROOT = Path(__file__).parents[2]
_TRY = """
import os, sys
from pathlib import Path
from advisor.verify.landlock import forbid_writing_but

own, other = Path(sys.argv[1]), Path(sys.argv[2])
assert forbid_writing_but([own], [Path("/dev"), Path(f"/proc/{os.getpid()}"), Path("/no/such/place")])

(own / "new").write_text("kept")
(own / "below").mkdir()
(own / "new").rename(own / "below" / "moved")
Path("/dev/null").write_text("gone")
Path("/proc/self/oom_score_adj").write_text("1000")
assert (other / "there").read_text() == "as it was"

attempts = {
    "write": lambda: (other / "there").write_text("changed"),
    "truncate": lambda: os.truncate(other / "there", 0),
    "make": lambda: (other / "made").touch(),
    "remove": lambda: (other / "there").unlink(),
    "move": lambda: (own / "below" / "moved").rename(other / "moved"),
    "in a process of its own": lambda: sys.exit(os.system(f"echo changed > {other}/there 2> /dev/null")),
    "make among devices": lambda: Path("/dev/advisor-was-here").touch(),
}
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError:
        continue
    except SystemExit as end:
        assert end.code, name
        continue
    raise AssertionError(name)
"""


@pytest.mark.skipif(not landlock.is_available(), reason="this system has no Landlock")
def test_nothing_is_changed_but_in_the_folder_and_the_files_that_were_named(tmp_path: Path) -> None:
    own, other = tmp_path / "own", tmp_path / "other"
    own.mkdir()
    other.mkdir()
    (other / "there").write_text("as it was", encoding="utf-8")
    subprocess.run([sys.executable, "-c", _TRY, str(own), str(other)], check=True, cwd=_ROOT, timeout=60)
    assert (own / "below" / "moved").read_text(encoding="utf-8") == "kept"
    assert [(path.name, path.read_text(encoding="utf-8")) for path in other.iterdir()] == [("there", "as it was")]


def test_a_system_that_has_no_landlock_forbids_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(landlock, "_version", lambda: -1)
    assert not landlock.is_available() and not landlock.forbid_writing_but([tmp_path / "own"])
    (tmp_path / "other").touch()
