"""Configuration files of Prometheus: their scrape_configs as they stand, or one error with file, line and key."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from collectors.scrape_config import ScrapeConfig
from collectors.scrape_discovery import Verbatim
from watchkeeper.config import Loaded, yaml
from watchkeeper.config.load import translate
from watchkeeper.errors import ConfigError

#: Keys of ``global`` that a scrape configuration takes over when it does not say otherwise.
INHERITED = (
    "scrape_interval", "scrape_timeout", "sample_limit", "label_limit", "label_name_length_limit",
    "label_value_length_limit", "target_limit", "body_size_limit",
)  # fmt: skip
#: What else may stand in ``global``: it is about rules and remote storage.
ELSEWHERE = ("evaluation_interval", "external_labels", "query_log_file", "rule_query_offset")


@dataclass(frozen=True, slots=True)
class Scrapes:
    """One entry of ``scrape_configs`` and the folder that its relative paths start from."""

    config: ScrapeConfig
    base: Path


def read(path: Path) -> yaml.Document:
    """A file of Prometheus. Raises ConfigError."""
    return yaml.read(path, environment=Verbatim())


def scrapes(loaded: Loaded) -> list[Scrapes]:
    """All entries of all files named by ``collect.scrape_config_files``. Raises ConfigError."""
    found: list[Scrapes] = []
    for name in loaded.config.collect.scrape_config_files:
        path = loaded.base / name
        document = read(path)
        for index, row in enumerate(rows(document)):
            config = entry(document, index, row)
            if any(config.job_name == other.config.job_name for other in found):
                place = ("scrape_configs", index, "job_name")
                raise document.error(f"two scrape configurations are called {config.job_name!r}", place)
            found.append(Scrapes(config, path.resolve().parent))
    return found


def rows(document: yaml.Document) -> list[Any]:
    data = document.data or {}
    found = data.get("scrape_configs") if isinstance(data, dict) else None
    if found is not None and not isinstance(found, list):
        raise document.error("must be a list", ("scrape_configs",))
    return list(found or [])


def entry(document: yaml.Document, index: int, row: Any) -> ScrapeConfig:
    """One entry with what it takes over from ``global``. Raises ConfigError."""
    place = ("scrape_configs", index)
    if not isinstance(row, dict):
        raise document.error("must be a mapping with job_name", place)
    common = document.data.get("global") or {}
    try:
        return TypeAdapter(ScrapeConfig).validate_python(with_global(row, common))
    except ValidationError as error:
        raise translate(error, document, place, list(ScrapeConfig.__dataclass_fields__)) from None


def with_global(row: dict[str, Any], common: Any) -> dict[str, Any]:
    """A timeout of ``global`` that is longer than the entry's own interval is cut to it, as Prometheus does."""
    said = common if isinstance(common, dict) else {}
    whole = {**{key: said[key] for key in INHERITED if key in said}, **row}
    if "scrape_interval" in row and "scrape_timeout" not in row:
        from watchkeeper.config.types import parse_duration

        try:
            if "scrape_timeout" in whole and parse_duration(whole["scrape_timeout"]) > parse_duration(
                row["scrape_interval"]
            ):
                whole["scrape_timeout"] = row["scrape_interval"]
        except ValueError:
            return whole  # the wrong one of the two is named when the entry is checked
    return whole


#: Keys that can be left out without scraping something else, or in another way.
HARMLESS = frozenset(
    {
        "enable_http2", "enable_compression", "scrape_protocols", "fallback_scrape_protocol", "keep_dropped_targets",
        "scrape_classic_histograms", "always_scrape_classic_histograms", "convert_classic_histograms_to_nhcb",
        "scrape_native_histograms", "native_histogram_bucket_limit", "native_histogram_min_bucket_factor",
        "follow_redirects", "track_timestamps_staleness", "metric_name_validation_scheme",
        "metric_name_escaping_scheme",
    }
)  # fmt: skip


def refused(document: yaml.Document, index: int, row: dict[str, Any]) -> list[tuple[str, str]]:
    """(key, why) of what has to go for the entry to be taken; an empty key refuses all of it.

    Without its relabelling or its credentials an entry would scrape other things than was meant: it is not taken.
    """
    left, found = dict(row), list[tuple[str, str]]()
    for key in row:
        if key in ScrapeConfig.__dataclass_fields__:
            continue
        if key not in HARMLESS and not key.endswith("_sd_configs"):
            return [("", f"{key} is not offered")]
        found.append((key, "not offered"))
        del left[key]
    try:
        entry(document, index, left)
    except ConfigError as error:
        place = error.key.partition(f"scrape_configs[{index}]")[2].lstrip(".")
        return [("", f"{place}: {error.message}")]
    return found
