"""Secrets and personal data taken out of log lines before anything is kept."""

from watchkeeper.masking.masker import Masker
from watchkeeper.masking.shipped import OPTIONAL, RULES

__all__ = ["OPTIONAL", "RULES", "Masker"]
