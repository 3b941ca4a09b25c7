"""Values that stand in a text in a form of their own: dates, numbers with their units, addresses, names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

_MONTH_NAMES = {
    1: "january jan januar janvier enero",
    2: "february feb februar février febrero",
    3: "march mar märz mars marzo",
    4: "april apr avril abril",
    5: "may mai mayo",
    6: "june jun juni juin junio",
    7: "july jul juli juillet julio",
    8: "august aug août agosto",
    9: "september sep sept septembre septiembre",
    10: "october oct oktober okt octobre octubre",
    11: "november nov novembre noviembre",
    12: "december dec dezember dez décembre diciembre",
}
_MONTHS = {name: number for number, names in _MONTH_NAMES.items() for name in names.split()}
_MONTH = "(?:" + "|".join(sorted(_MONTHS, key=lambda name: (-len(name), name))) + r")\b\.?"
_DATE = re.compile(
    rf"(?i)\b(?P<iso>\d{{4}}-\d{{2}}-\d{{2}})(?!\d)"
    rf"|\b(?P<d1>\d{{1,2}})(?:st|nd|rd|th|\.|er)?\s+(?:de\s+)?(?P<m1>{_MONTH})\s*(?:de\s+|,\s*)?(?P<y1>\d{{4}})\b"
    rf"|\b(?P<m2>{_MONTH})\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?,?\s+(?P<y2>\d{{4}})\b"
    rf"|\b(?P<d3>\d{{1,2}})\.(?P<m3>\d{{1,2}})\.(?P<y3>\d{{4}})\b"
)
_MONTH_YEAR = re.compile(rf"(?i)\b{_MONTH}\s+(?:de\s+)?(?:1[5-9]|20)\d\d\b")
_YEAR = re.compile(r"(?<![\d.,-])(?:1[5-9]|20)\d\d(?![\d-]|[.,]\d)")
_DATE_TIME = re.compile(r"\b(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2})?(?:\.\d+)?(Z|[+-]\d{2}:\d{2})?")
_URL = re.compile(r"https?://[^\s<>\"'`|\\^{}\[\]]{3,500}")
_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,6}\.[A-Za-z]{2,24}"
)
_FORMS = {
    "uuid": re.compile(r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
    "ipv4": re.compile(r"(?<![\d.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\d.])"),
    "time": re.compile(r"\b(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:Z|[+-]\d{2}:\d{2})"),
}
_UNIT = (
    r"°\s?[CFK]|º\s?[CF]|K\b|%|‰|(?:per ?cent|percent|percentage points?|prozent|pour cent|por ciento"
    r"|degrees?(?: celsius| fahrenheit)?|grad|degrés|grados"
    r"|(?:million|billion|trillion|thousand|millionen|milliarden|mio\.?|mrd\.?|millions|milliards|millones)"
    r"(?: (?:euros?|dollars?|pounds?|people|tonnes?|tons?|litres?|liters?|trees))?"
    r"|euros?|dollars?|pounds?|eur|usd|gbp|km|kilomet(?:re|er)s?|m²|m2|m³|met(?:re|er)s?|cm|mm|hectares?|ha|acres?"
    r"|kg|tonnes?|tons?|grams?|litres?|liters?|kwh|mwh|gwh|kw|mw|gw|watts?|hours?|minutes?|seconds?|days?|weeks?"
    r"|months?"
    r"|years?|stunden|tage|wochen|monate|jahre|heures|jours|mois|ans|horas|días|meses|años|people|residents|trees)\b"
)
_NUMBER = re.compile(
    r"(?P<sign>(?<![\w)–-])[-−–])?(?P<money>[$€£]\s?)?(?<![\w.,])(?P<digits>\d{1,3}(?:[ \u00a0\u202f']\d{3})+(?!\d)"
    rf"|\d+(?:[.,]\d+)*)(?:\s?[-]?(?P<unit>{_UNIT}))?(?![\w]|[.,]\d)",
    re.I,
)
_FACTORS = (
    (("thousand",), 1e3),
    (("million", "mio", "millones"), 1e6),
    (("billion", "milliard", "mrd"), 1e9),
    (("trillion",), 1e12),
)
_SMALL = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@dataclass(frozen=True)
class Number:
    """A number in a text: its value (multiplied out: 3 million is 3000000), as written with its unit, its place."""

    value: float
    written: str
    unit: str
    start: int
    end: int


def numbers(text: str, language: str = "en") -> list[Number]:
    """The numbers of a text, without those that are part of a word (CO2), a date or a version.

    ``1,200`` is 1200 in English and 1.2 in German, French and Spanish; ``1.200`` the other way round. Spelled
    numbers (``three``) are found up to twelve.
    """
    taken = [match.span() for match in _DATE.finditer(text)] + [match.span() for match in _URL.finditer(text)]
    found = []
    for match in _NUMBER.finditer(text):
        if any(start <= match.start("digits") < end for start, end in taken):
            continue
        value = _value(match["digits"], language)
        if value is None:
            continue
        unit = (match["unit"] or "").lower()
        for names, factor in _FACTORS:
            if unit.startswith(names):
                value *= factor
                break
        value = -value if match["sign"] else value
        found.append(Number(value, match.group().strip(), unit, match.start("digits"), match.end()))
    # "one" is an article or a pronoun more often than a number.
    for match in re.finditer(rf"(?i)\b(?:{'|'.join(word for word in _SMALL if word != 'one')})\b", text):
        found.append(Number(float(_SMALL.index(match.group().lower())), match.group(), "", *match.span()))
    return _ranges(text, sorted(found, key=lambda number: number.start))


def _ranges(text: str, found: list[Number]) -> list[Number]:
    """Both ends of a range (``between 800 and 3,000 euros``) get its unit and its whole wording."""
    for at, (low, high) in enumerate(pairwise(found)):
        between = text[low.end : high.start]
        opened = re.search(r"(?i)\b(?:between|zwischen|entre)\s+[$€£]?\s?$", text[: low.start][-24:])
        linked = re.fullmatch(r"\s*(?:-|–|to|bis|à|a)\s*[$€£]?", between) or (
            opened and re.fullmatch(r"\s+(?:and|und|et|y)\s+[$€£]?\s?", between)
        )
        if linked and not low.unit:
            start = low.start - (len(opened.group().lstrip()) if opened else 0)
            found[at] = replace(low, unit=high.unit, written=text[start : high.end].strip())
            found[at + 1] = replace(high, written=found[at].written)
    return found


def _value(digits: str, language: str) -> float | None:
    plain = re.sub(r"[ \u00a0\u202f']", "", digits)
    if len(plain) > 18:
        return None
    point, group = (".", ",") if language == "en" else (",", ".")
    if plain.count(group) and re.fullmatch(rf"\d{{1,3}}(?:\{group}\d{{3}})+(?:\{point}\d+)?", plain):
        plain = plain.replace(group, "")
    elif plain.count(group) == 1 and point not in plain:
        point = group  # "3.5" in a German text, "3,5" in an English one: no group of three, so a decimal point
    elif group in plain:
        return None  # a version such as 1.2.3
    if plain.count(point) > 1:
        return None
    return float(plain.replace(point, "."))


def dates(text: str) -> list[tuple[date, str]]:
    """Full dates of a text with how they are written: ISO, ``5 May 2024``, ``May 5, 2024``, ``5. Mai 2024``, …"""
    found = []
    for match in _DATE.finditer(text):
        try:
            if match["iso"]:
                day = date.fromisoformat(match["iso"])
            elif match["m1"]:
                day = date(int(match["y1"]), _MONTHS[match["m1"].lower().rstrip(".")], int(match["d1"]))
            elif match["m2"]:
                day = date(int(match["y2"]), _MONTHS[match["m2"].lower().rstrip(".")], int(match["d2"]))
            else:
                day = date(int(match["y3"]), int(match["m3"]), int(match["d3"]))
        except ValueError:
            continue  # 31 February is no date
        found.append((day, match.group()))
    return found


def dates_as_written(text: str) -> list[str]:
    """Dates of a text for a reader: full ones first, else months with a year, else years."""
    full = [written for _, written in dates(text)]
    return full or [match.group() for match in _MONTH_YEAR.finditer(text)] or [str(year) for year in years(text)]


def years(text: str) -> list[int]:
    """Numbers from 1500 to 2099 that stand as years do: four digits, no separator."""
    return [int(match.group()) for match in _YEAR.finditer(text)]


def date_times(text: str) -> list[str]:
    """RFC 3339 times of a text, as JSON Schema's ``date-time`` wants them (without an offset: UTC)."""
    found = []
    for match in _DATE_TIME.finditer(text):
        try:
            date.fromisoformat(match[1])
        except ValueError:
            continue
        hour, minute = (int(part) for part in match[2].split(":"))
        if hour < 24 and minute < 60:
            found.append(f"{match[1]}T{match[2]}{match[3] or ':00'}{match[4] or 'Z'}")
    return found


def urls(text: str) -> list[str]:
    """Web addresses of a text, without the punctuation behind them."""
    return [_trimmed(match.group()) for match in _URL.finditer(text)]


def _trimmed(url: str) -> str:
    while url and (url[-1] in ".,;:!?*_" or (url[-1] == ")" and url.count("(") < url.count(")"))):
        url = url[:-1]
    return url


def emails(text: str) -> list[str]:
    """E-mail addresses of a text."""
    return [match.group() for match in _EMAIL.finditer(text)]


def of_format(text: str, form: str) -> list[str] | None:
    """Values of a JSON Schema ``format`` in a text; None for a format that this module does not know."""
    if form == "date":
        return [day.isoformat() for day, _ in dates(text)]
    if form == "date-time":
        return date_times(text) or [f"{day.isoformat()}T00:00:00Z" for day, _ in dates(text)]
    if form in ("uri", "url", "iri", "uri-reference", "iri-reference"):
        return urls(text)
    if form in ("email", "idn-email"):
        return emails(text)
    return [match.group() for match in _FORMS[form].finditer(text)] if form in _FORMS else None


def has_format(text: str, form: object) -> bool:
    """Whether a text is of a format; True for a format that is not checked here."""
    if form == "date":
        return bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text)) and bool(dates(text))
    if form == "email":
        return "@" in text
    if form == "date-time":
        return date_times(text) == [text]
    known = _FORMS.get(form) if isinstance(form, str) else None
    return known is None or bool(known.fullmatch(text))


def proper_names(text: str) -> Iterator[str]:
    """Runs of capitalised words that do not open the sentence: names, in languages that capitalise only those."""
    for match in re.finditer(
        r"(?<=[\w,;:)] )(?:[A-ZÄÖÜÉÀ][\w’'-]+)(?: (?:of |de |du |van |von )?[A-ZÄÖÜÉÀ][\w’'-]+){0,4}", text
    ):
        yield match.group()
