"""What is read of a device by SNMP: columns of standard tables, under snmp_exporter's names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from .base import STRICT

OID = re.compile(r"\d+(\.\d+)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: metric -> column, label -> column. Rows are told apart by their index, which is a label too."""

    index: str  #: name of the label that holds the index; empty: a scalar, whose index is 0
    values: dict[str, str]
    labels: dict[str, str] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)  #: metric -> factor to the base unit


_IF, _IFX = "1.3.6.1.2.1.2.2.1", "1.3.6.1.2.1.31.1.1.1"
_STORAGE, _UCD = "1.3.6.1.2.1.25.2.3.1", "1.3.6.1.4.1.2021"

MODULES: dict[str, tuple[Table, ...]] = {
    "system": (Table(index="", values={"sysUpTime": "1.3.6.1.2.1.1.3", "ifNumber": "1.3.6.1.2.1.2.1"}),),
    "interfaces": (
        Table(
            index="ifIndex",
            labels={"ifDescr": f"{_IF}.2", "ifName": f"{_IFX}.1", "ifAlias": f"{_IFX}.18"},
            values={
                "ifMtu": f"{_IF}.4",
                "ifSpeed": f"{_IF}.5",
                "ifAdminStatus": f"{_IF}.7",
                "ifOperStatus": f"{_IF}.8",
                "ifLastChange": f"{_IF}.9",
                "ifInOctets": f"{_IF}.10",
                "ifInDiscards": f"{_IF}.13",
                "ifInErrors": f"{_IF}.14",
                "ifOutOctets": f"{_IF}.16",
                "ifOutDiscards": f"{_IF}.19",
                "ifOutErrors": f"{_IF}.20",
                "ifHCInOctets": f"{_IFX}.6",
                "ifHCInUcastPkts": f"{_IFX}.7",
                "ifHCOutOctets": f"{_IFX}.10",
                "ifHCOutUcastPkts": f"{_IFX}.11",
                "ifHighSpeed": f"{_IFX}.15",
            },
        ),
    ),
    "cpu": (
        Table(index="hrDeviceIndex", values={"hrProcessorLoad": "1.3.6.1.2.1.25.3.3.1.2"}),
        Table(
            index="laIndex",
            labels={"laNames": f"{_UCD}.10.1.2"},
            values={"laLoadInt": f"{_UCD}.10.1.5"},
            scale={"laLoadInt": 0.01},
        ),
    ),
    "storage": (
        Table(
            index="hrStorageIndex",
            labels={"hrStorageDescr": f"{_STORAGE}.3"},
            values={
                "hrStorageAllocationUnits": f"{_STORAGE}.4",
                "hrStorageSize": f"{_STORAGE}.5",
                "hrStorageUsed": f"{_STORAGE}.6",
            },
        ),
    ),
    "memory": (
        Table(
            index="",
            values={
                "memTotalReal": f"{_UCD}.4.5",
                "memAvailReal": f"{_UCD}.4.6",
                "memTotalFree": f"{_UCD}.4.11",
                "memBuffer": f"{_UCD}.4.14",
                "memCached": f"{_UCD}.4.15",
            },
        ),
    ),
}


@checked(kw_only=True, config=STRICT)
class SnmpMetric:
    """One column of a device's own table, or a scalar."""

    name: str = Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")
    oid: str  #: of the column, or of the scalar without its last .0
    index: str = "index"  #: label that holds the row's index; empty: a scalar
    labels: dict[str, str] = field(default_factory=dict)  #: label -> OID of a column of the same rows
    scale: float = 1.0  #: factor to the base unit, such as 0.01 for hundredths of a second

    def __post_init__(self) -> None:
        for oid in (self.oid, *self.labels.values()):
            if not OID.fullmatch(oid):
                raise ValueError(f"{oid!r} is no OID in numbers, such as 1.3.6.1.2.1.1.3")

    def table(self) -> Table:
        values, scale = {self.name: self.oid}, {self.name: self.scale}
        return Table(index=self.index, values=values, labels=self.labels, scale=scale)
