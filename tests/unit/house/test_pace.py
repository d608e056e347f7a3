"""The suite's own pace: what is long comes first, journeys count no lines, recorded files exist."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import coverage
import pytest
from support import pace


def test_the_longest_files_come_first_and_the_rest_as_they_were() -> None:
    seconds = pace.recorded("182 browser/test_tour.py\n20.5 unit/b.py\n")
    assert seconds == {"browser/test_tour.py": 182.0, "unit/b.py": 20.5}
    found = pace.places(["unit/a.py", "unit/b.py", "unit/b.py", "browser/test_tour.py", "unit/c.py"], seconds)
    assert sorted(found, key=found.__getitem__) == ["browser/test_tour.py", "unit/b.py", "unit/a.py", "unit/c.py"]


def test_what_is_printed_is_what_is_read() -> None:
    measured = {"unit/a.py": 0.4, "unit/b.py": 20.0, "journey/c.py": 90.0}
    assert pace.lines(measured) == ["90 journey/c.py", "20 unit/b.py"]
    assert pace.recorded("\n".join(pace.lines(measured))) == {"journey/c.py": 90.0, "unit/b.py": 20.0}


@pytest.mark.parametrize("path", pace.recorded(pace.LONGEST.read_text(encoding="utf-8")))
def test_a_recorded_file_exists(path: str) -> None:
    assert (pace.TESTS / path).is_file()


PROGRAM = """
import os, sys
from pathlib import Path
sys.path[:0] = [{tests!r}, {folder!r}]
import coverage
from support.pace import ASKED, uncounted
os.environ[ASKED] = "asked"
counting = coverage.Coverage(data_file=None, config_file=False, include=[{folder!r} + "/*"])
counting.start()
import part
with uncounted():
    part.journey()
    assert ASKED not in os.environ
part.unit()
counting.stop()
assert os.environ[ASKED] == "asked"
print(sorted(counting.get_data().lines(part.__file__)))
"""


def test_lines_are_counted_in_units_and_not_in_journeys(tmp_path: Path) -> None:
    (tmp_path / "part.py").write_text("def journey():\n    return 1\ndef unit():\n    return 2\n")
    program = PROGRAM.format(tests=str(pace.TESTS), folder=str(tmp_path))
    environment = {name: value for name, value in os.environ.items() if name != pace.ASKED}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[1, 3, 4]"


def test_without_counting_nothing_is_started() -> None:
    before = coverage.Coverage.current()
    with pace.uncounted():
        assert coverage.Coverage.current() is None
    assert coverage.Coverage.current() is before
