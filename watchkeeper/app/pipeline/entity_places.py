"""Where addresses are, by a table of networks: one's own sites, or a published one cut to what is needed."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path

from detectors.entities import Place
from watchkeeper.errors import ConfigError

#: Networks of a table at most: each takes about 200 bytes of memory.
MOST = 500_000
#: Columns whose first text names a place.
NAMES = ("place", "city", "city_name", "name", "country", "country_code", "geoname_id")
NEEDED = ("network", "latitude", "longitude")


class Places:
    """The narrowest network that holds an address decides."""

    def __init__(self, table: Mapping[tuple[int, int], Mapping[int, Place]] | None = None) -> None:
        self._table = dict(sorted((table or {}).items(), reverse=True))  # narrow ones first

    def of(self, source: str) -> Place | None:
        """None: not in the table."""
        if not self._table:
            return None
        try:
            address = ip_address(source)
        except ValueError:
            return None
        mapped = getattr(address, "ipv4_mapped", None) or address
        whole = int(mapped)
        for (prefix, version), networks in self._table.items():
            if version == mapped.version:
                found = networks.get(whole >> (mapped.max_prefixlen - prefix))
                if found is not None:
                    return found
        return None


def read_places(path: Path) -> Places:
    """Raises ConfigError with the line of what is no network or no place."""
    table: dict[tuple[int, int], dict[int, Place]] = {}
    names: dict[tuple[str, float, float], Place] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            missing = [name for name in NEEDED if name not in (rows.fieldnames or ())]
            if missing:
                raise _wrong(path, 1, f"has no column {missing[0]}; it needs {', '.join(NEEDED)}")
            for count, row in enumerate(rows):
                if count >= MOST:
                    raise _wrong(path, rows.line_num, f"has more than {MOST} networks; leave out what never signs in")
                if row["latitude"] and row["longitude"]:  # published tables have networks of no place
                    _add(path, rows.line_num, row, table, names)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}; name another file", file=str(path)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"is no CSV in UTF-8: {error}", file=str(path)) from None
    return Places(table)


def _add(
    path: Path,
    line: int,
    row: Mapping[str, str],
    table: dict[tuple[int, int], dict[int, Place]],
    names: dict[tuple[str, float, float], Place],
) -> None:
    try:
        network = ip_network(row["network"].strip(), strict=False)
        latitude, longitude = float(row["latitude"]), float(row["longitude"])
    except ValueError as error:
        raise _wrong(path, line, str(error)) from None
    place = place_of(next((row[name] for name in NAMES if row.get(name)), ""), latitude, longitude)
    if place is None:
        raise _wrong(path, line, "latitude is -90 to 90 and longitude -180 to 180, in degrees")
    place = names.setdefault((place.name, latitude, longitude), place)
    networks = table.setdefault((network.prefixlen, network.version), {})
    networks[int(network.network_address) >> (network.max_prefixlen - network.prefixlen)] = place


def place_of(name: str, latitude: float, longitude: float) -> Place | None:
    """None: not on this earth. Without a name it is called by its degrees."""
    if not (math.isfinite(latitude) and abs(latitude) <= 90 and math.isfinite(longitude) and abs(longitude) <= 180):
        return None
    return Place(name[:100] or f"{latitude:.1f},{longitude:.1f}", latitude, longitude)


def _wrong(path: Path, line: int, why: str) -> ConfigError:
    return ConfigError(why, file=str(path), line=line)
