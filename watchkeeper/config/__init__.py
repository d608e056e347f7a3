"""Configuration: strict, checked as a whole, with errors that name file, line and key."""

from watchkeeper.config.load import Loaded, check, default_path, load
from watchkeeper.config.schema import Config, Pool, Source

__all__ = ["Config", "Loaded", "Pool", "Source", "check", "default_path", "load"]
