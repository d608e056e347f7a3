"""Rules of one environment written for the next: from where to where, rewritten, put into its file."""

from .file import as_yaml, has_comments, named
from .merge import Merge, merge
from .promote import Promotion, promote
from .step import ENVIRONMENTS, Step

__all__ = ["ENVIRONMENTS", "Merge", "Promotion", "Step", "as_yaml", "has_comments", "merge", "named", "promote"]
