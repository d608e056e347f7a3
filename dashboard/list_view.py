"""A long list that searches, sorts and turns its pages in the browser (assets/list.js)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from dash.development.base_component import Component


class Column(TypedDict, total=False):
    """``row[field]`` is shown; ``row[field + "_sort"]``, where there is one, is what it sorts by."""

    field: str
    name: str
    right: bool  #: numbers
    tag: str  #: class of a tag: "wk-state" or "wk-severity", its colour by ``row[field + "_key"]``
    link: bool  #: leads to ``row["href"]``


class ListView(Component):
    """``rowData`` are its rows; ``id`` of a row keeps its place when others come and go."""

    _namespace = "dashboard_static"
    _type = "ListView"

    def __init__(
        self,
        id: str,  # noqa: A002 - Dash's word
        columns: Sequence[Column],
        texts: Mapping[str, str],
        page: int,
        rowData: Sequence[Mapping[str, Any]] = (),  # noqa: N803 - as the grids that Dash's users know
    ) -> None:
        names = ["id", "columns", "texts", "page", "rowData"]
        self._prop_names = names
        self._valid_wildcard_attributes: list[str] = []
        self.available_properties = names
        self.available_wildcard_properties: list[str] = []
        super().__init__(  # type: ignore[no-untyped-call]
            id=id, columns=list(columns), texts=dict(texts), page=page, rowData=list(rowData)
        )
