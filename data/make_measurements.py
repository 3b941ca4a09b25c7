"""Write `measurements.csv`: synthetic air and surface temperatures of the invented town of Lindenau.

    python data/make_measurements.py            # writes measurements.csv beside this file
    python data/make_measurements.py out.csv    # writes somewhere else

Ten sites are visited five times a day on ten days of one summer. The model is a small energy balance: the sun heats a
surface by as much as reaches it, a surface that can evaporate water is heated less, a heavy one gives its heat back in
the evening. Coefficients without a named source were chosen so that the results fall into ranges that are usual in
Central Europe; they are not fitted to any measurement.

Only `random.Random.random` is drawn from, because that is the one method whose sequence Python keeps the same from
version to version for a given seed. So the file comes out the same, byte for byte.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from datetime import date
from pathlib import Path
from random import Random
from typing import NamedTuple

SEED = 2026
LATITUDE_DEGREES = 51.0
SOLAR_NOON_HOUR = 13.2  # summer time (UTC+2) at about 12° E
COLUMNS = (
    "date",
    "time",
    "site",
    "district",
    "surface",
    "tree_cover_percent",
    "air_temperature_c",
    "surface_temperature_c",
    "humidity_percent",
)
LOST_VISITS = 3  # visits that were never recorded: 10 days x 5 times x 10 sites - 3 = 497 rows
REPEATED_ROWS = 3  # rows that stand in the file twice: 500 in all
EMPTY_CELLS = {"air_temperature_c": 5, "surface_temperature_c": 6, "humidity_percent": 7}

Row = dict[str, str]


class Day(NamedTuple):
    """The weather of one day, as a station outside the town would see it."""

    day: date
    minimum: float  # air temperature, °C
    maximum: float  # air temperature, °C
    dew_point: float  # °C
    cloud: float  # covered part of the sky, 0 to 1
    soil_water: float  # plant-available water in the upper soil, 0 (wilting) to 1 (full)


class Surface(NamedTuple):
    """How the ground reacts to the sun."""

    gain_dry: float  # K above the air per 1000 W/m² of sun, when dry
    gain_wet: float  # the same with full soil water
    lag: float  # weight of the sun two hours ago, 0 to 1
    stored: float  # K kept at 22:00 after a full day of sun
    night_loss: float  # K below the air under a clear night sky
    air_warming: float  # K that the ground adds to the air above it after a sunny day


class Site(NamedTuple):
    """One place of measurement."""

    name: str
    district: str
    surface: str
    tree_cover: int  # percent of the ground within 20 m that lies below crowns


DAYS = (
    Day(date(2025, 6, 3), 11.5, 20.5, 10.5, 0.75, 0.90),
    Day(date(2025, 6, 12), 13.0, 25.5, 12.0, 0.30, 0.75),
    Day(date(2025, 6, 21), 15.5, 29.5, 14.0, 0.10, 0.55),
    Day(date(2025, 7, 1), 18.5, 34.0, 15.5, 0.05, 0.35),
    Day(date(2025, 7, 2), 20.0, 35.5, 16.0, 0.10, 0.30),
    Day(date(2025, 7, 15), 15.0, 21.0, 14.5, 0.95, 0.80),
    Day(date(2025, 7, 24), 14.5, 26.5, 13.5, 0.40, 0.60),
    Day(date(2025, 8, 11), 17.0, 32.5, 13.0, 0.05, 0.20),
    Day(date(2025, 8, 13), 18.5, 34.5, 13.0, 0.05, 0.10),
    Day(date(2025, 8, 27), 13.5, 24.0, 12.5, 0.50, 0.45),
)

# Hour of the visit -> where the air temperature stands between the day's minimum (0) and maximum (1).
TIMES = {6: 0.02, 10: 0.50, 14: 0.92, 18: 0.93, 22: 0.42}

SURFACES = {
    "asphalt": Surface(30.0, 29.0, 0.35, 5.0, 0.8, 0.8),
    "grass": Surface(17.0, 7.0, 0.05, 0.2, 3.0, -0.5),
    "gravel": Surface(24.0, 21.0, 0.15, 1.5, 2.0, 0.4),
    "water-bound": Surface(22.0, 14.0, 0.25, 2.0, 1.8, 0.1),
    "paving": Surface(25.0, 23.5, 0.40, 4.5, 0.8, 0.7),
}

# Each surface once with few and once with many trees, so that the two effects can be told apart.
SITES = (
    Site("Marktplatz", "Altstadt", "paving", 4),
    Site("Klosterhof", "Altstadt", "paving", 46),
    Site("Bahnhofsvorplatz", "Bahnhof", "asphalt", 3),
    Site("Lindenallee", "Bahnhof", "asphalt", 64),
    Site("Gewerbehof", "Nordstadt", "gravel", 2),
    Site("Schulhof", "Nordstadt", "gravel", 42),
    Site("Sportwiese", "Weststadt", "grass", 7),
    Site("Volkspark", "Weststadt", "grass", 72),
    Site("Festplatz", "Auenviertel", "water-bound", 6),
    Site("Uferweg", "Auenviertel", "water-bound", 58),
)

# District -> K added to the air by day, K added in the evening and at night (dense centre, river meadow).
DISTRICT_OFFSETS = {
    "Altstadt": (0.3, 1.1),
    "Bahnhof": (0.4, 0.9),
    "Nordstadt": (0.2, 0.3),
    "Weststadt": (0.0, 0.0),
    "Auenviertel": (-0.4, -0.4),
}


def sunshine(day: Day, hour: float) -> float:
    """Global radiation on level ground in W/m².

    Clear sky and the effect of clouds after Kasten and Czeplak (1980, Solar Energy 24); declination by Cooper's
    formula (1969, Solar Energy 12).
    """
    declination = math.radians(23.45) * math.sin(math.radians(360 * (284 + day.day.timetuple().tm_yday) / 365))
    latitude = math.radians(LATITUDE_DEGREES)
    hour_angle = math.radians(15 * (hour - SOLAR_NOON_HOUR))
    sine_of_elevation = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(
        declination
    ) * math.cos(hour_angle)
    clear_sky = max(0.0, 910 * sine_of_elevation - 30)
    return clear_sky * (1 - 0.75 * math.pow(day.cloud, 3.4))


def air_temperature(day: Day, hour: int, site: Site) -> float:
    """Air temperature in °C at 1.5 m above the ground of `site`."""
    base = day.minimum + TIMES[hour] * (day.maximum - day.minimum)
    by_day, by_night = DISTRICT_OFFSETS[site.district]
    cover = site.tree_cover / 100
    noon_sun = sunshine(day, 14) / 850
    ground = SURFACES[site.surface].air_warming * noon_sun * (1 - 0.8 * cover)
    if hour in (10, 14, 18):
        # Shade cools always; transpiration only as far as the roots find water.
        trees = -cover * (sunshine(day, hour) / 850) * (0.7 + 1.3 * day.soil_water)
        return base + by_day + ground + trees
    crowns_hold_heat = 0.4 * cover * (1 - day.cloud)
    return base + by_night + 0.7 * ground + crowns_hold_heat


def surface_temperature(day: Day, hour: int, site: Site, air: float) -> float:
    """Temperature of the ground in °C, the mean of readings along a short walk through `site`."""
    ground = SURFACES[site.surface]
    in_the_sun = 1 - 0.85 * site.tree_cover / 100  # a dense summer crown lets through some 10 to 30 % of the light
    now, before = sunshine(day, hour), sunshine(day, hour - 2)
    sun = in_the_sun * ((1 - ground.lag) * now + ground.lag * before)
    gain = ground.gain_dry + (ground.gain_wet - ground.gain_dry) * day.soil_water
    temperature = air + gain * sun / 1000
    if hour in (6, 22):
        kept = ground.stored * (1.0 if hour == 22 else 0.3)
        open_sky = (1 - day.cloud) * (1 - 0.8 * site.tree_cover / 100)
        temperature += kept * in_the_sun * sunshine(day, 14) / 850 - ground.night_loss * open_sky
    return temperature


def humidity(day: Day, site: Site, air: float) -> float:
    """Relative humidity in percent, by the Magnus formula (constants 17.62 and 243.12 °C: WMO Guide No. 8)."""
    dew_point = day.dew_point + 1.2 * site.tree_cover / 100 * day.soil_water

    def vapour_pressure(celsius: float) -> float:
        return math.exp(17.62 * celsius / (243.12 + celsius))

    return min(99.0, 100 * vapour_pressure(dew_point) / vapour_pressure(air))


def noise(random: Random, deviation: float) -> float:
    """A bell-shaped error with the given standard deviation, never more than three times as large."""
    return deviation * 2 * (random.random() + random.random() + random.random() - 1.5)


def choose(random: Random, count: int, size: int) -> list[int]:
    """`count` different numbers below `size`, in the order drawn."""
    chosen: list[int] = []
    while len(chosen) < count:
        number = int(random.random() * size)
        if number not in chosen:
            chosen.append(number)
    return chosen


def visit(random: Random, day: Day, hour: int, site: Site) -> Row:
    """One row of the table."""
    air = air_temperature(day, hour, site) + noise(random, 0.25)
    ground = surface_temperature(day, hour, site, air) + noise(random, 0.8)
    moisture = min(99.0, humidity(day, site, air) + noise(random, 1.2))
    values = (
        day.day.isoformat(),
        f"{hour:02d}:00",
        site.name,
        site.district,
        site.surface,
        str(site.tree_cover),
        f"{air:.1f}",
        f"{ground:.1f}",
        f"{moisture:.0f}",
    )
    return dict(zip(COLUMNS, values, strict=True))


def measurements() -> list[Row]:
    """All 500 rows in the order of time: visits, minus the lost ones, with gaps and repeated rows."""
    random = Random(SEED)
    rows = [visit(random, day, hour, site) for day in DAYS for hour in TIMES for site in SITES]
    for index in sorted(choose(random, LOST_VISITS, len(rows)), reverse=True):
        del rows[index]
    for column, count in EMPTY_CELLS.items():
        for index in choose(random, count, len(rows)):
            rows[index][column] = ""
    for index in sorted(choose(random, REPEATED_ROWS, len(rows)), reverse=True):
        rows.insert(index + 1, dict(rows[index]))
    return rows


def as_csv(rows: list[Row]) -> str:
    """`rows` as CSV text with a header and `\\n` line ends."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def main(arguments: list[str]) -> None:
    """Write the table to the file named in `arguments`, else beside this script."""
    target = Path(arguments[0]) if arguments else Path(__file__).with_name("measurements.csv")
    target.write_bytes(as_csv(measurements()).encode())


if __name__ == "__main__":
    main(sys.argv[1:])
