"""Stack traces of many runtimes are one record each, and what is no trace stays lines."""

from __future__ import annotations

import pytest

from collectors.log_text import line_ends
from collectors.log_traces import MOST, begins, record_ends

AT = "2026-11-30T12:00:00Z"
JAVA = f"""{AT} ERROR order failed
java.lang.IllegalStateException: stock gone
\tat com.acme.Shop.order(Shop.java:42)
\t... 12 common frames omitted
Caused by: java.io.IOException: reset
\tat com.acme.Net.read(Net.java:7)
\t... 2 more"""
BARE_JAVA = """Exception in thread "main" java.lang.NullPointerException
\tat com.acme.Main.main(Main.java:7)"""
PYTHON = f"""{AT} ERROR unhandled
Traceback (most recent call last):
  File "/app/main.py", line 3, in <module>
    boom()
ValueError: bad amount 12"""
CHAINED = """Traceback (most recent call last):
  File "a.py", line 1, in f
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 4, in g
app.errors.Gone: no row"""
GO = """panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.(*Shop).order(0xc000010000, 0x1)
\t/src/shop.go:8 +0x1d
main.main()
\t/src/main.go:4 +0x1d
exit status 2"""
NODE = """Error: boom
    at Object.<anonymous> (/app/index.js:1:7)
    at node:internal/main/run_main_module:28:49"""
PHP = """PHP Fatal error:  Uncaught Exception: boom in /app/x.php:3
Stack trace:
#0 /app/y.php(2): f()
#1 {main}
  thrown in /app/x.php on line 3"""
DOTNET = f"""{AT} fail: Shop[0] Unhandled exception.
      System.InvalidOperationException: gone
         at Shop.Order() in /src/Shop.cs:line 4
      --- End of inner exception stack trace ---"""
RECORDS = {
    "java": JAVA, "bare java": BARE_JAVA, "python": PYTHON, "chained": CHAINED, "go": GO, "node": NODE, "php": PHP,
    "dotnet": DOTNET,
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_trace_between_two_lines_is_one_record(name: str) -> None:
    lines = [f"{AT} INFO order 7 accepted", *RECORDS[name].split("\n"), f"{AT} INFO order 8 accepted"]
    starts = [at for at, one in enumerate(begins([line.encode() for line in lines])) if one]
    assert starts == [0, 1, len(lines) - 1]


def test_two_traces_in_a_row_are_two_records() -> None:
    lines = [*PYTHON.split("\n"), *PYTHON.split("\n"), *BARE_JAVA.split("\n"), *JAVA.split("\n")]
    assert sum(begins([line.encode() for line in lines])) == 4


def test_a_trace_that_follows_no_error_is_not_part_of_the_line_before() -> None:
    lines = [f"{AT} INFO all well", *PYTHON.split("\n")[1:]]
    assert begins([line.encode() for line in lines])[:2] == [True, True]


@pytest.mark.parametrize(
    "lines",
    [
        ["order accepted", "order shipped", "", "order accepted"],
        [f"{AT} ERROR a failed", f"{AT} ERROR b failed", "Done"],
        ["ERROR: one", "ERROR: two", "# comment", "}"],
        ["ValueError: bad", "ValueError: worse"],
        ["ERROR: queue is full", "#1 waits", "#2 waits"],
    ],
)
def test_what_is_no_trace_stays_lines(lines: list[str]) -> None:
    assert all(begins([line.encode() for line in lines]))


def test_a_file_that_indents_everything_makes_no_endless_record() -> None:
    assert sum(begins([b"  one"] * (2 * MOST + 1))) == 3


def test_a_large_text_has_the_records_of_its_lines_looked_at_one_by_one() -> None:
    parts = [f"{AT} INFO order {at} accepted" for at in range(40)]
    text = "\n".join(line for name in sorted(RECORDS) for line in (*parts, *RECORDS[name].split("\n"))) + "\n"
    data = text.encode()
    lines = data.split(b"\n")[:-1]
    ends = record_ends(data, line_ends(data))
    starts = [0, *(ends[:-1] + 1).tolist()]
    expected = [at for at, one in zip([0, *(line_ends(data)[:-1] + 1).tolist()], begins(lines), strict=True) if one]
    assert starts == expected
    assert len(starts) == 41 * len(RECORDS)
