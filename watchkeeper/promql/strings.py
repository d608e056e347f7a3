"""String literals whose byte escapes are no UTF-8: legal in PromQL, unknown to the parser, which reads Latin-1."""

from __future__ import annotations

import ast

from watchkeeper.promql.positions import TOKEN


def broken_strings(expr: str) -> dict[str, str]:
    """What the parser makes of each such literal -> the text with every stray byte as a lone surrogate."""
    if "\\" not in expr:
        return {}
    found: dict[str, str] = {}
    for token in TOKEN.finditer(expr):
        literal = token["string"]
        if not literal or literal[0] == "`" or not literal.isascii() or "\\" not in literal:
            continue
        raw = ast.literal_eval("b" + literal)  # one literal, already recognised as such
        try:
            raw.decode("utf-8")
        except UnicodeDecodeError:
            found[raw.decode("latin-1")] = raw.decode("utf-8", "surrogateescape")
    return found
