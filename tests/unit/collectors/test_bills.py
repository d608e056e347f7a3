"""Bills as people save them: encodings, signs, Chinese heads, damaged rows, and the real FOCUS sample."""

from __future__ import annotations

import gzip
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pytest

from collectors.bill_csv import BillColumns, read_bill
from collectors.bill_text import RowError, money, span
from collectors.focus_csv import read_focus
from watchkeeper.errors import CollectError

CHINESE = '账单日期,产品,应付金额,团队\n2026-03-01,云服务器,"￥1,234.56",支付\n2026年3月2日,对象存储,12.30元,\n'
COLUMNS = BillColumns(date="账单日期", amount="应付金额", service="产品", tags={"team": "团队"})
FOCUS = "BilledCost,EffectiveCost,BillingCurrency,ChargePeriodStart,ChargePeriodEnd,ServiceName,ChargeCategory,Tags\n"
GOOD = '1.5,1.25,USD,2024-09-01 00:00:00,2024-09-02T00:00:00Z,S3,Usage,"{""team"": ""a""}"\n'
PATH = Path("bill.csv")


def bill(text: str, columns: BillColumns = COLUMNS, currency: str = "CNY"):  # type: ignore[no-untyped-def]
    return read_bill(PATH, text.encode(), columns, source="aliyun", currency=currency)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16"])
def test_a_chinese_bill_is_read_in_every_encoding_it_is_saved_in(encoding: str) -> None:
    found = read_bill(PATH, CHINESE.encode(encoding), COLUMNS, source="aliyun", currency="CNY")
    assert [(one.service, one.billed_cost, one.tags) for one in found.charges] == [
        ("云服务器", Decimal("1234.56"), (("team", "支付"),)),
        ("对象存储", Decimal("12.30"), ()),
    ]
    assert [one.charge_period_start.day for one in found.charges] == [1, 2]
    assert found.bad == []


def test_a_declared_encoding_that_is_not_so_is_refused_by_name() -> None:
    with pytest.raises(CollectError, match="is not utf-8-sig; save it as UTF-8"):
        read_bill(PATH, CHINESE.encode("gbk"), COLUMNS, source="aliyun", currency="CNY", encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "value", "currency"),
    [
        ("¥1,234.56", "1234.56", "CNY"),
        ("1,234.56元", "1234.56", "CNY"),
        ("￥-3.00", "-3.00", "CNY"),
        ("(1,234.50)", "-1234.50", ""),
        ("US$0.10", "0.10", "USD"),
        ("1e-7", "1E-7", ""),
        ("0.00000080000", "8.0000E-7", ""),
        (" 12 ", "12", ""),
    ],
)
def test_an_amount_is_exact_whatever_stands_around_it(text: str, value: str, currency: str) -> None:
    assert money(text, "x") == (Decimal(value), currency)


@pytest.mark.parametrize("text", ["", "abc", "1.234,56", "12,34.5", "¥$5", "NaN", "Infinity", "--1", "1" * 29, "."])
def test_what_is_no_amount_is_never_guessed(text: str) -> None:
    with pytest.raises(RowError):
        money(text, "x")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024-02", datetime(2024, 2, 1), datetime(2024, 3, 1)),  # noqa: DTZ001
        ("2024年12月", datetime(2024, 12, 1), datetime(2025, 1, 1)),  # noqa: DTZ001
        ("202402", datetime(2024, 2, 1), datetime(2024, 3, 1)),  # noqa: DTZ001
        ("2024/2/29", datetime(2024, 2, 29), datetime(2024, 3, 1)),  # noqa: DTZ001
        ("20240229", datetime(2024, 2, 29), datetime(2024, 3, 1)),  # noqa: DTZ001
        ("2024-02-29T10:30:00.000Z", datetime(2024, 2, 29, 10, 30), datetime(2024, 2, 29, 10, 30)),  # noqa: DTZ001
    ],
)
def test_days_and_months_are_understood_as_written(text: str, start: datetime, end: datetime) -> None:
    assert span(text, "x") == (start, end)


@pytest.mark.parametrize("text", ["2025-02-29", "03/04/2026", "soon", "", "0001-01-01"])
def test_a_day_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(RowError):
        span(text, "x")


def test_a_wrong_map_names_file_line_column_and_what_there_is() -> None:
    with pytest.raises(CollectError) as found:
        bill(CHINESE, BillColumns(date="账单日期", amount="金额"))
    assert str(found.value) == (
        "bill.csv:1: no column '金额', which columns.amount names; the first line has 账单日期, 产品, 应付金额, 团队"
    )


def test_a_bad_row_is_counted_with_its_place_and_loses_nothing_else() -> None:
    found = bill(
        CHINESE + "2026-03-03,OSS,很多,\n2026-13-01,OSS,1,\n2026-03-04,OSS\n2026-03-05,OSS,$2,\n2026-03-06,OSS,3,\n"
    )
    assert [(row.line, row.column, row.reason) for row in found.bad] == [
        (4, "应付金额", "amount"),
        (5, "账单日期", "time"),
        (6, "", "columns"),
        (7, "应付金额", "currency"),
    ]
    assert sum(one.billed_cost for one in found.charges) == Decimal("1249.86")


def test_refunds_reduce_a_bill_with_or_without_their_minus_and_odd_kinds_are_refused() -> None:
    columns = BillColumns(date="d", amount="a", category="k", end="e", currency="c", quantity="q")
    lines = [
        "d,e,a,k,c,q",
        "2026-03-01,2026-03-31,5,退款,人民币,1",
        "2026-03,,-5,抵扣,CNY,many",
        "2026-03,,1,gift,CNY,",
        "2026-03,,1,税费,cny,",
    ]
    text = "\n".join(lines)
    found = bill(text, columns, "")
    assert [(one.billed_cost, one.category, one.currency) for one in found.charges] == [
        (Decimal(-5), "credit", "CNY"), (Decimal(-5), "credit", "CNY"),
    ]  # fmt: skip
    assert found.charges[0].charge_period_end == datetime(2026, 4, 1)  # noqa: DTZ001
    assert [row.reason for row in found.bad] == ["category", "currency"]


# --- FOCUS -----------------------------------------------------------------------------------------------------------


def test_a_focus_row_is_a_charge() -> None:
    (one,) = read_focus(PATH, (FOCUS + GOOD).encode()).charges
    assert (one.billed_cost, one.effective_cost, one.tags) == (Decimal("1.5"), Decimal("1.25"), (("team", "a"),))
    assert (one.charge_period_end, one.category, one.period) == (datetime(2024, 9, 2), "usage", "/2024-09")  # noqa: DTZ001


def test_a_packed_bill_is_read_and_a_torn_one_refused() -> None:
    packed = gzip.compress((FOCUS + GOOD).encode())
    assert len(read_focus(Path("bill.csv.gz"), packed).charges) == 1
    with pytest.raises(CollectError, match="no whole gzip file"):
        read_focus(Path("bill.csv.gz"), packed[:-9])


def test_something_else_than_focus_says_what_to_do() -> None:
    with pytest.raises(CollectError, match="use kind: bill_csv"):
        read_focus(PATH, CHINESE.encode())


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (GOOD.replace("1.5,", "x,"), "amount"),
        (GOOD.replace("USD", "dollars"), "currency"),
        (GOOD.replace("2024-09-01", "2024-09-05"), "period"),
        (GOOD.replace("{", "["), "tags"),
        (GOOD.replace("2024-09-01 00:00:00", "NULL"), "time"),
        ("1,2,3\n", "columns"),
    ],
)
def test_a_damaged_focus_row_is_left_out_alone(row: str, reason: str) -> None:
    found = read_focus(PATH, (FOCUS + row + GOOD).encode())
    assert [(bad.line, bad.reason) for bad in found.bad] == [(2, reason)]
    assert len(found.charges) == 1


def test_the_real_sample_is_read_whole_and_to_the_last_digit() -> None:
    folder = os.environ.get("WATCHKEEPER_TEST_DATA")
    path = Path(folder or "") / "cost" / "focus_1_0_sample_1000.csv"
    if not folder or not path.exists():
        pytest.skip("WATCHKEEPER_TEST_DATA names no folder with cost/focus_1_0_sample_1000.csv")
    found = read_focus(path, path.read_bytes())
    assert (len(found.charges), found.bad) == (1000, [])
    assert sum(one.billed_cost for one in found.charges) == Decimal("20.52022672899")
    assert {one.currency for one in found.charges} == {"USD"}
    assert {"usage", "credit"} <= {one.category for one in found.charges}
