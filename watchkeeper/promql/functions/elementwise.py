"""Functions of one sample at a time: arithmetic, trigonometry, rounding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from watchkeeper.model.series import BoolArray, FloatArray

#: Plain functions of one value. numpy's answers for infinities and NaN are Go's.
PLAIN: dict[str, Callable[[FloatArray], FloatArray]] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "deg": lambda values: values * 180 / np.pi,
    "rad": lambda values: values * np.pi / 180,
    "sgn": np.sign,
}


def rounded(values: FloatArray, to_nearest: FloatArray) -> FloatArray:
    """The nearest multiple, halves upwards."""
    inverse = 1.0 / to_nearest
    answer: FloatArray = np.floor(values * inverse + 0.5) / inverse
    return answer


def clamped(values: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Values held between the edges; NaN as soon as an edge is NaN."""
    answer: FloatArray = np.maximum(low, np.minimum(high, values))
    return answer


def clamp_empty(low: FloatArray, high: FloatArray) -> BoolArray:
    """Steps at which the edges cross, so that ``clamp`` answers nothing."""
    crossed: BoolArray = low > high
    return crossed
