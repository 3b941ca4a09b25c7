"""How long a server asks its clients to wait."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from ``Retry-After-Ms`` or ``Retry-After`` (seconds, or an HTTP date: RFC 9110, 10.2.3).

    Args:
        headers: By names in lower case, or a mapping to which case is the same.
    """
    milliseconds, seconds = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        if seconds is None:
            return None
        if re.fullmatch(r"\s*[\d.]+\s*", seconds):
            return float(seconds)
        return max(0.0, email.utils.parsedate_to_datetime(seconds).timestamp() - time.time())
    except ValueError:
        return None  # a header that cannot be read says nothing
