"""Lines happened when they say so, in every usual form, and when they were read where that cannot be."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError
from support.targets import TRUST

from collectors.container_logs import ContainerLogs
from collectors.log_clock import LineClock
from collectors.log_file import LogFile
from collectors.log_text import line_ends
from collectors.log_times import LineTimes
from collectors.log_words import Buffer
from watchkeeper.clock import from_ms, to_ms
from watchkeeper.model.log import starts
from watchkeeper.outbound import Outbound

NOW = datetime(2026, 11, 22, 12, 5, tzinfo=UTC)
SHANGHAI = ZoneInfo("Asia/Shanghai")
#: (line, when it happened by what it says: written without a zone it is of Shanghai)
FORMS: list[tuple[str, str | None]] = [
    ("2026-11-22T12:00:00Z x", "2026-11-22T12:00:00Z"),
    ("2026-11-22T12:00:00.123456789+08:00 x", "2026-11-22T04:00:00.123Z"),
    ("2026-11-22 12:00:00,123 INFO", "2026-11-22T04:00:00.123Z"),
    ("2026-11-22 12:00:00.1 INFO", "2026-11-22T04:00:00.100Z"),
    ('10.0.0.7 - - [22/Nov/2026:12:00:00 +0800] "GET / HTTP/1.1" 200', "2026-11-22T04:00:00Z"),
    ("2026/11/22 12:00:00 [error] 12#12: *3 open()", "2026-11-22T04:00:00Z"),
    ("[Sun Nov 22 12:00:00.123456 2026] [core:error] [pid 1] x", "2026-11-22T04:00:00.123Z"),
    ("[Sun Nov 22 12:00:00.123456 2024] [core:error] [pid 1] x", "2024-11-22T04:00:00.123Z"),
    ("Nov 22 12:00:00 web1 sshd[12]: Failed", "2026-11-22T04:00:00Z"),
    ("Nov  2 12:00:00 web1 sshd[12]: Failed", "2026-11-02T04:00:00Z"),
    ("<34>Nov 22 12:00:00 web1 sshd[12]: Failed", "2026-11-22T04:00:00Z"),
    ("<34>1 2026-11-22T12:00:00.003Z web1 su - ID47 - x", "2026-11-22T12:00:00.003Z"),
    ("Dec 31 23:59:59 web1 cron: x", "2025-12-31T15:59:59Z"),
    ("123:M 22 Nov 2026 12:00:00.123 * Ready", "2026-11-22T04:00:00.123Z"),
    ("2026-11-22 12:00:00.123 UTC [123] LOG:  x", "2026-11-22T12:00:00.123Z"),
    ("2026-11-22 12:00:00.123 CST [123] LOG:  x", "2026-11-22T04:00:00.123Z"),
    ("2026-11-22T12:00:00.123456Z 0 [Note] x", "2026-11-22T12:00:00.123Z"),
    ("2026-11-22  9:00:00 0 [Note] InnoDB", "2026-11-22T01:00:00Z"),
    ("261122 12:00:00 [Note] x", "2026-11-22T04:00:00Z"),
    ('{"level":"info","ts":1795348800.123,"msg":"x"}', "2026-11-22T12:00:00.123Z"),
    ('{"level":30,"time":1795348800123,"msg":"x"}', "2026-11-22T12:00:00.123Z"),
    ('{"msg":"at 2020-01-01 00:00:00 x","@timestamp":"2026-11-22T12:00:00.123Z"}', "2026-11-22T12:00:00.123Z"),
    ('{"msg":"at 2020-01-01 00:00:00 x"}', None),
    ('{"timestamp": "2026-11-22 12:00:00", "a": 1}', "2026-11-22T04:00:00Z"),
    ('{"time" : "2026-11-22T12:00:00+0800", "a": 1}', "2026-11-22T04:00:00Z"),
    ('{"created":"2026-11-21T12:00:00Z","time":"2026-11-22T12:00:00Z"}', "2026-11-22T12:00:00Z"),
    ('{"expires":1795348800,"x":"y"}', None),
    ('{"ts":1795348800123456789}', "2026-11-22T12:00:00.123Z"),
    ('{"ts":1795348800123456}', "2026-11-22T12:00:00.123Z"),
    ('{"ts":1795348800}', "2026-11-22T12:00:00Z"),
    ('{"ts":1.795348800123e9}', None),
    ("level=info ts=2026-11-22T12:00:00.5Z msg=x", "2026-11-22T12:00:00.500Z"),
    ('time="2026-11-22T12:00:00+08:00" level=info msg=x', "2026-11-22T04:00:00Z"),
    ("ts=1795348800.5 lvl=info", "2026-11-22T12:00:00.500Z"),
    ("1795348800.123    456 10.0.0.1 TCP_MISS/200", "2026-11-22T12:00:00.123Z"),
    ("[1795348800] EXTERNAL COMMAND: x", "2026-11-22T12:00:00Z"),
    ("type=USER_LOGIN msg=audit(1795348800.123:456): pid=1", "2026-11-22T12:00:00.123Z"),
    ("I1122 12:00:00.123456    1234 file.go:12] hi", "2026-11-22T04:00:00.123Z"),
    ("11-22 12:00:00.123  1234  1234 D Foo: x", "2026-11-22T04:00:00.123Z"),
    ("Nov 22, 2026 1:00:00 PM org.foo.Bar main", "2026-11-22T05:00:00Z"),
    ("Nov 22, 2026 12:30:00 AM org.foo.Bar main", "2026-11-21T16:30:00Z"),
    ("22-Nov-2026 12:00:00.123 INFO [main] x", "2026-11-22T04:00:00.123Z"),
    ("26/11/22 12:00:00 INFO spark.X: y", "2026-11-22T04:00:00Z"),
    ("20261122-12:00:00:606|Step|x", "2026-11-22T04:00:00.606Z"),
    ("22.11.2026 12:00:00 x", "2026-11-22T04:00:00Z"),
    ("[2026-11-22T12:00:00Z INFO  foo] x", "2026-11-22T12:00:00Z"),
    ("[main] INFO 2026-11-22 12:00:00,123 com.foo", "2026-11-22T04:00:00.123Z"),
    ("12:00:00.123 [main] INFO x", None),
    ("no time here", None),
    ("", None),
    ("2026-13-22 12:00:00 x", None),
    ("2026-11-22 25:00:00 x", None),
    ("Sun, 22 Nov 2026 12:00:00 GMT x", "2026-11-22T12:00:00Z"),
    ("Nov 22 12:00:00 haproxy[1]: 10.0.0.1:33 [22/Nov/2026:12:00:00.123] fe be/s", "2026-11-22T04:00:00Z"),
    ("2026-11-22 12:00:00 -0330 x", "2026-11-22T15:30:00Z"),
    ("2026-11-22T12:00:00-08 x", "2026-11-22T20:00:00Z"),
    ("  at com.foo.Bar(Bar.java:12)", None),
    ("2026-11-22 12:00:00 Zebra crossed", "2026-11-22T04:00:00Z"),
    ("*Nov 22 12:00:00.123 UTC: %SYS-5-CONFIG_I", "2026-11-22T12:00:00.123Z"),
    ("Nov 22 2026 12:00:00: %ASA-6-1 x", "2026-11-22T04:00:00Z"),
    ("2026-11-22 12:00:00", "2026-11-22T04:00:00Z"),
]


def moments(*texts: str, reader: LineTimes | None = None, now: datetime = NOW) -> list[datetime | None]:
    data = "".join(f"{text}\n" for text in texts).encode()
    ends = line_ends(data)
    found = (reader or LineTimes(SHANGHAI)).read(Buffer.of(data), starts(ends), ends, now)
    return [None if ms < 0 else from_ms(ms) for ms in found.times.tolist()]


def when(word: str | None) -> datetime | None:
    return None if word is None else datetime.fromisoformat(word)


@pytest.mark.parametrize(("text", "word"), FORMS)
def test_the_usual_forms_are_read(text: str, word: str | None) -> None:
    assert moments(text) == [when(word)]


def test_lines_of_all_forms_are_read_alike_in_any_company_and_the_second_time() -> None:
    chance, reader = random.Random(5), LineTimes(SHANGHAI)
    for _ in range(30):
        some = chance.choices(FORMS, weights=[chance.random() ** 8 for _ in FORMS], k=40)
        assert moments(*(text for text, _ in some), reader=reader) == [when(word) for _, word in some]


@pytest.mark.parametrize(
    ("written", "now", "word"),
    [
        ("2026-10-25 02:30:00", "2026-10-25T00:31:00Z", "2026-10-25T00:30:00Z"),  # the hour that comes twice
        ("2026-10-25 02:30:00", "2026-10-25T01:31:00Z", "2026-10-25T01:30:00Z"),
        ("2026-10-25 02:30:00", "2026-11-25T01:31:00Z", "2026-10-25T00:30:00Z"),
        ("Feb 29 12:00:00 web1 x", "2026-03-01T12:00:00Z", "2024-02-29T11:00:00Z"),
        ("Jan  1 00:00:01 web1 x", "2026-12-31T23:00:30Z", "2026-12-31T23:00:01Z"),  # a new year over there
    ],
)
def test_hours_that_come_twice_and_dates_without_a_year(written: str, now: str, word: str) -> None:
    reader = LineTimes(ZoneInfo("Europe/Berlin"))
    assert moments(written, reader=reader, now=datetime.fromisoformat(now)) == [when(word)]


def test_a_new_day_is_read_anew() -> None:
    reader = LineTimes(SHANGHAI)
    for day in (22, 23):
        texts = [f"2026-11-{day} 12:00:0{place} INFO x" for place in range(3)]
        assert moments(*texts, reader=reader) == [
            datetime(2026, 11, day, 4, 0, place, tzinfo=UTC) for place in range(3)
        ]


# --- which of them are taken -----------------------------------------------------------------------------------------


def taken(clock: LineClock, *texts: str, live: bool, now: datetime = NOW) -> list[str]:
    data = "".join(f"{text}\n" for text in texts).encode()
    ends = line_ends(data)
    found = clock.times(Buffer.of(data), ends, ends, now, live=live)
    return [f"{from_ms(ms):%H:%M:%S}" for ms in found.tolist()]


def test_a_line_without_a_time_happened_with_the_one_before_it() -> None:
    clock = LineClock("UTC")
    texts = ["first of all", "2026-11-22 12:04:58 ERROR x", "  at f", "Caused by: y", "2026-11-22 12:04:59 INFO z"]
    assert taken(clock, *texts, live=True) == ["12:05:00", "12:04:58", "12:04:58", "12:04:58", "12:04:59"]
    assert taken(clock, "  at g", live=True) == ["12:04:59"], "more of the same look"
    clock.pause()
    assert taken(clock, "a word", live=True) == ["12:05:00"]


def test_a_time_that_a_text_speaks_of_is_not_when_it_happened() -> None:
    clock = LineClock("UTC")
    speaks = "backup of 2026-11-21 03:00:00 is done"
    assert taken(clock, speaks, live=True) == ["12:05:00"]
    assert taken(clock, "one", "two", speaks, live=False) == ["12:05:00"] * 3
    redis = [f"123:M 20 Nov 2026 10:00:0{place}.000 * Ready" for place in range(4)]
    assert taken(LineClock("UTC"), "banner", *redis, live=False)[1:] == [f"10:00:0{place}" for place in range(4)]


def test_what_is_written_now_in_another_zone_happened_now_and_is_counted() -> None:
    clock = LineClock("")
    eight_hours_behind = NOW.astimezone() - timedelta(hours=8)
    text = f"{eight_hours_behind:%Y-%m-%d %H:%M:%S} ERROR x"
    assert taken(clock, text, live=True) == ["12:05:00"]
    assert clock.doubted == 1
    assert taken(clock, text, live=False) == ["12:05:00"], "the next file of the same writer"
    assert taken(LineClock(""), text, live=False) == ["04:05:00"], "an old file may speak of any time"
    assert taken(LineClock(str(SHANGHAI)), "2026-11-22 09:00:00 x", live=True) == ["01:00:00"], "told, so not doubted"
    assert taken(LineClock(""), "2026-11-22T04:05:00Z x", live=True) == ["04:05:00"], "says its zone itself"


async def looked(part: LogFile, seconds: int = 0) -> list[tuple[str, str]]:
    outbound = Outbound(allow_private=True, verify=TRUST)
    found = await part.collect(NOW + timedelta(seconds=seconds), outbound)
    await outbound.aclose()
    return [
        (text, f"{from_ms(at):%d %H:%M:%S}")
        for batch in found.logs
        for text, at in zip(batch.texts(), batch.times.tolist(), strict=True)
    ]


async def test_a_file_is_read_with_its_own_times_records_by_their_first_line(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("2026-11-21 10:00:00 one\n  in 2026-01-01 00:00:00\n2026-11-21 10:00:01 two\n")
    options: dict[str, Any] = {"name": "a", "paths": [str(log)], "from_beginning": True, "time_zone": "UTC"}
    joined = LogFile(**options, multiline_start=r"\d{4}-")
    assert await looked(joined) == [
        ("2026-11-21 10:00:00 one\n  in 2026-01-01 00:00:00", "21 10:00:00"),
        ("2026-11-21 10:00:01 two", "21 10:00:01"),
    ]
    indented = LogFile(**options)
    assert [at for _, at in await looked(indented)] == ["21 10:00:00", "21 10:00:01"]
    single = LogFile(**options, stack_traces=False)
    assert [at for _, at in await looked(single)] == ["21 10:00:00", "21 10:00:00", "21 10:00:01"]
    with log.open("a") as file:
        file.write("no time\n")
    assert await looked(single, 5) == [("no time", "22 12:05:05")]
    without = LogFile(**(options | {"time_zone": ""}), line_times=False)
    assert {at for _, at in await looked(without)} == {"22 12:05:00"}
    for part in (joined, single, without):
        await part.close()


def test_a_zone_that_is_none_is_told_and_containers_need_none() -> None:
    with pytest.raises(ValidationError, match="'Shanghai' is no IANA zone"):
        LogFile(name="a", paths=["/a"], time_zone="Shanghai")
    with pytest.raises(ValidationError, match="the runtime states every line's time"):
        ContainerLogs(name="a", time_zone="UTC")


def test_any_bytes_leave_a_time_for_every_line() -> None:
    chance, pool = random.Random(7), [text.encode() for text, _ in FORMS]
    for _ in range(60):
        lines = []
        for text in chance.choices(pool, k=20):
            raw = bytearray(text)
            for _ in range(chance.randrange(4)):
                if raw:
                    raw[chance.randrange(len(raw))] = chance.choice(b"0123456789:-. \xff")
            lines.append(bytes(raw[: chance.randrange(len(raw) + 1)] if chance.random() < 0.3 else raw))
        data = b"".join(line.replace(b"\n", b" ") + b"\n" for line in lines)
        ends = line_ends(data)
        times = LineClock("UTC").times(Buffer.of(data), ends, ends, NOW, live=chance.random() < 0.5)
        assert len(times) == len(ends)
        assert np.all(times >= 0)
        assert np.all(times < to_ms(NOW) * 6)
