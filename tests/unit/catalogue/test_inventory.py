"""Asset lists as they come: what can be read of them is in the catalogue, and what cannot is told with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchkeeper.app.catalogue import read
from watchkeeper.app.catalogue.inventory import clean
from watchkeeper.app.catalogue.kinds import shipped
from watchkeeper.app.catalogue.monitor import with_port
from watchkeeper.app.catalogue.words import kind
from watchkeeper.config import Loaded
from watchkeeper.environments import environment_of
from watchkeeper.errors import ConfigError
from watchkeeper.model import Service

GIB = 2**30
KINDS = shipped()
MESSY = """\
"某公司服务器资产清单（2026年11月）",,,,,,,,,,
,,,,,,,,,,
序号,主机名*,资产类型,IP地址,端口,负责人,所属环境,CPU(核),内存（GiB）,联系电话,依赖服务,级别
1,订单服务（主）,Python API,10.0.0.5、10.0.0.6,8000,张三,生产,8核,16,"+86 138 0000 0000，李四",订单库；缓存,核心
2,订单库,MySQL 8.0,10.0.0.7,,李四,生产环境,16,64,,,
3,缓存,redis,10.0.0.8,6379.0,,线上,4 C,8g,,,
4,缓存,redis,10.0.0.9,6379.0,王五,线上,4 C,8g,,,
5,老系统,Oracle 11g,待分配,1521,王五,测试,八,未知,,不存在的系统,钻石
6,老系统二,Oracle 11g,10.0.0.11,,,UAT,,,,,
7,,redis,10.0.0.10,,,,,,,,
8,web-1,nginx,,,,,2,4,,,

"""


#: Lines that have a mistake, and what is said of each.
PLACES = (8, 8, 8, 8, 8, 10, 11)
TOLD = (
    "column '资产类型': 'Oracle 11g' is no service kind; say what it is by",
    "column 'IP地址': '待分配' is no address",
    "column '级别': '钻石' is none of agent, core, support",
    "column 'CPU(核)': '八': write a number such as 8",
    "column '内存（GiB）': '未知': write a size such as 16GB",
    "column '主机名*': says no name; the row is left out",
    "a service of kind nginx needs addresses, such as [10.0.0.5:9100]; it is known without its kind",
)


def written(folder: Path, table: bytes, inventory: str = "{file: list.csv}") -> Loaded:
    (folder / "list.csv").write_bytes(table)
    (folder / "watchkeeper.yaml").write_text(f"catalogue:\n  inventories: [{inventory}]\n", encoding="utf-8")
    return read(folder / "watchkeeper.yaml")


def by_name(loaded: Loaded) -> dict[str, Service]:
    return {one.name: one for one in loaded.services}


@pytest.mark.parametrize(
    "table",
    [
        MESSY.replace("\n", "\r\n").encode("gb18030"),
        MESSY.replace(",", "\t").encode("utf-8-sig"),
        MESSY.replace(",", ";").encode("utf-16"),
    ],
    ids=["comma-gb18030-crlf", "tab-utf8-with-mark", "semicolon-utf16"],
)
def test_a_list_with_a_title_above_and_units_in_its_head_is_a_catalogue(tmp_path: Path, table: bytes) -> None:
    loaded = written(tmp_path, table)
    found = by_name(loaded)
    orders, cache = found["订单服务-主"], found["缓存"]
    assert (orders.kind, orders.title, orders.tier, orders.owner) == ("python_api", "订单服务（主）", "core", "张三")
    assert (orders.environment, orders.addresses) == ("PROD", ("10.0.0.5:8000", "10.0.0.6:8000"))
    assert (orders.limits, orders.depends_on) == ({"cpu": 8.0, "memory": 16.0 * GIB}, ("订单库", "缓存"))
    assert orders.contacts == ("+86 138 0000 0000", "李四")
    assert (found["订单库"].kind, found["订单库"].addresses) == ("mysql", ("10.0.0.7:3306",))
    assert (cache.addresses, cache.replicas, cache.owner) == (("10.0.0.8:6379", "10.0.0.9:6379"), 2, "王五")
    assert {row.name for row in loaded.config.collect.sources} == {
        "订单服务-主:10.0.0.5:8000", "订单服务-主:10.0.0.6:8000", "订单库", "缓存:10.0.0.8:6379", "缓存:10.0.0.9:6379",
    }  # fmt: skip


def test_what_cannot_be_used_is_told_once_with_its_line_and_the_rest_of_its_row_stays(tmp_path: Path) -> None:
    loaded = written(tmp_path, MESSY.encode())
    found, told = by_name(loaded), [one.replace(f"{tmp_path}/", "") for one in loaded.left_out]
    for said, place, expected in zip(told, PLACES, TOLD, strict=True):
        assert said.startswith(f"list.csv:{place}: ")
        assert expected in said
    assert (found["老系统"].owner, found["老系统"].environment, found["老系统"].kind) == ("王五", "TEST", "")
    assert found["不存在的系统"].origin == "inventory"
    assert found["老系统二"].environment == "STAGING"
    assert found["web-1"].limits == {"cpu": 2.0, "memory": 4.0 * GIB}


def test_the_configuration_says_what_words_mean_and_how_a_kind_is_read(tmp_path: Path) -> None:
    table = "名称,组件,地址\n账务库,国产数据库,10.0.0.7\n账务库,linux主机,10.0.0.7\n".encode()
    loaded = written(
        tmp_path,
        table,
        "{file: list.csv, kinds: {国产数据库: postgresql}, options: {postgresql: {username: watch, timeout: 3}}}",
    )
    assert loaded.left_out == ()
    assert [(one.name, one.kind) for one in loaded.services] == [
        ("账务库", "postgresql"), ("账务库-linux_host", "linux_host"),
    ]  # fmt: skip
    database, host = loaded.config.collect.sources
    assert (database.options["username"], host.options["url"]) == ("watch", "http://10.0.0.7:9100/metrics")
    with pytest.raises(ConfigError, match="'oracle' is no service kind"):
        written(tmp_path, table, "{file: list.csv, kinds: {国产数据库: oracle}}")


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("hosts,kind\nweb,\n", "list.csv:1: has no column 'name'; it has hosts, kind"),
        ("", "list.csv:1: has no column 'name'; it has none"),
    ],
)
def test_a_file_that_is_no_such_list_is_refused(tmp_path: Path, table: str, told: str) -> None:
    with pytest.raises(ConfigError) as refused:
        written(tmp_path, table.encode())
    assert told in str(refused.value)


def test_a_wrong_cell_leaves_its_service(tmp_path: Path) -> None:
    told = {
        "two,,": "column 'replicas': 'two': write a number such as 8",
        ",lots,": "column 'memory': 'lots': write a size such as 16GB",
        ",16,": "column 'memory': '16': without a unit",
        ",16Zi,": "column 'memory': '16Zi': write a quantity",
        ",,70000": "column 'port': '70000' is no port",
    }
    rows = "".join(f"web{number},{cells}\n" for number, cells in enumerate(told))
    loaded = written(tmp_path, f"name,replicas,memory,port\n{rows}short\n".encode())
    assert [one.name for one in loaded.services] == ["web0", "web1", "web2", "web3", "web4", "short"]
    for said, expected in zip(loaded.left_out, told.values(), strict=True):
        assert expected in said


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Python API", "python_api"), ("ai agent", "ai_agent"), ("MySQL", "mysql"), ("MySQL 8.0", "mysql"),
        ("mysql-5.7.44", "mysql"), ("postgres", "postgresql"), ("PostgreSQL 15", "postgresql"), ("Redis", "redis"),
        ("nginx v1.24", "nginx"), ("ｎｇｉｎｘ", "nginx"), ("k8s", "kubernetes"), ("交换机", "network_device"),
        ("Oracle 11g", "Oracle 11g"), ("rediss", "rediss"), ("", ""), ("8.0", "8.0"),
    ],
)  # fmt: skip
def test_a_kind_is_known_by_what_people_call_it(text: str, meant: str) -> None:
    assert kind(text, KINDS) == meant


def test_words_for_environments_and_names_that_no_label_should_have() -> None:
    said = ("prod", "Production", "生产环境", "UAT", "预发布", "qa", "Dev", "STAGING", "DR", "")
    assert [environment_of(one) for one in said] == [
        "PROD", "PROD", "PROD", "STAGING", "STAGING", "TEST", "DEV", "STAGING", "DR", "",
    ]  # fmt: skip
    assert [clean(one) for one in ("订单 服务/主", "MySQL主库(北京)", " -- ", "a" * 80)] == [
        "订单-服务-主", "MySQL主库-北京", "", "a" * 60,
    ]  # fmt: skip


def test_an_address_gets_the_port_that_its_kind_usually_has() -> None:
    said = ("10.0.0.5", "10.0.0.5:1", "db", "https://db", "fe80::1", "[fe80::1]", "[fe80::1]:2")
    assert [with_port(one, 9100) for one in said] == [
        "10.0.0.5:9100", "10.0.0.5:1", "db:9100", "https://db", "[fe80::1]:9100", "[fe80::1]:9100", "[fe80::1]:2",
    ]  # fmt: skip
    assert with_port("10.0.0.5", 0) == "10.0.0.5"
