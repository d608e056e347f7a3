"""What only shows something is sent as one plain tree and drawn by assets/static.js.

Every Dash component costs the browser about a millisecond, whatever it is; a table of fifty rules has a thousand of
them. Pages are written with ``dash.html`` all the same: ``lighten`` folds what has no id, no callback and nothing but
harmless attributes, just before an answer leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import dcc, html
from dash.development.base_component import Component

#: Component type -> tag of the document.
TAGS = {
    **{
        getattr(html, name): name.lower()
        for name in (
            "Div", "Span", "P", "A", "Img", "Code", "Pre", "Strong", "Em", "Small", "Br", "H1", "H2", "H3", "H4",
            "Ul", "Ol", "Li", "Dl", "Dt", "Dd", "Table", "Thead", "Tbody", "Tr", "Th", "Td", "Details", "Summary",
            "Nav", "Time",
        )
    },
    dcc.Link: "a",
}  # fmt: skip
#: Attributes that only show; as React spells them.
ATTRIBUTES = frozenset(
    ("className", "style", "title", "role", "href", "target", "rel", "src", "alt", "width", "height", "hidden", "lang")
) | {"colSpan", "rowSpan", "open", "dateTime", "download"}
WILD = ("data-", "aria-")
#: A tree smaller than this is left alone: folding one element saves nothing.
LEAST = 2

Node = list[Any]  #: [tag, attributes, children]; a child is a Node, a text or a number


class Static(Component):
    """Shows a ``tree``; has no other property."""

    _namespace = "dashboard_static"
    _type = "Static"

    def __init__(self, tree: Node) -> None:
        self._prop_names = ["tree"]
        self._valid_wildcard_attributes: list[str] = []
        self.available_properties = ["tree"]
        self.available_wildcard_properties: list[str] = []
        super().__init__(tree=tree)  # type: ignore[no-untyped-call]


def lighten(shown: Any) -> Any:
    """The same answer with its static parts folded. Changes the components that it is given."""
    if isinstance(shown, list | tuple):
        return [lighten(one) for one in shown]
    if not isinstance(shown, Component) or isinstance(shown, Static):
        return shown
    tree = fold(shown)
    if tree is not None:
        return Static(tree) if _size(tree) >= LEAST else shown
    children = getattr(shown, "children", None)
    if isinstance(children, list | tuple | Component):
        shown.children = lighten(children)
    return shown


def fold(shown: Any) -> Any:
    """A Node, a text or a number; None for what is more than a picture."""
    if isinstance(shown, str | int | float):
        return shown
    tag = TAGS.get(type(shown))
    given = _attributes(shown) if tag else None
    if tag is None or given is None:
        return None
    inside = []
    for child in _children(shown):
        folded = fold(child)
        if folded is None:
            return None
        inside.append(folded)
    return [tag, given, inside]


def _children(shown: Component) -> list[Any]:
    """As React sees them: nothing is left out of the tree."""
    children = getattr(shown, "children", None)
    found = list(children) if isinstance(children, list | tuple) else [children]
    return [child for child in found if child is not None]


def _attributes(shown: Component) -> dict[str, Any] | None:
    props: Mapping[str, Any] = shown.to_plotly_json()["props"]  # type: ignore[no-untyped-call]
    given = {name: value for name, value in props.items() if name != "children" and value is not None}
    if not all(name in ATTRIBUTES or name.startswith(WILD) for name in given):
        return None
    if isinstance(shown, dcc.Link):
        given["data-page"] = ""
    return given


def _size(tree: Any) -> int:
    return 1 + sum(_size(child) for child in tree[2]) if isinstance(tree, list) else 0
