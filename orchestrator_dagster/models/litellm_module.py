"""litellm itself: imported at the first call, prepared so that it is quiet and stays off the network."""

from __future__ import annotations

import logging
import os
import threading
import warnings
from typing import Any

# What litellm reads when it is imported. Prices and headers come from its package, not from the network; a .env file
# beside it is not read (what is in the environment counts); its errors do not ask people to report them.
_ENVIRONMENT = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_DISABLE_BUG_REPORT_LINK": "true",
}
# httpx writes whole URLs at INFO, and some providers take the key in the URL.
_LOGGERS = {
    "LiteLLM": logging.CRITICAL,
    "LiteLLM Router": logging.CRITICAL,
    "LiteLLM Proxy": logging.CRITICAL,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "openai": logging.WARNING,
}
_import_lock = threading.Lock()
_prepared = False


def import_in_background() -> None:
    """Start to import litellm in a thread of its own, and return at once. The first call then waits for less."""

    def load() -> None:
        try:
            litellm_module()
        except Exception:
            # The call that needs litellm imports it again and raises this where someone can see it.
            logging.getLogger(__name__).debug("litellm could not be imported in the background", exc_info=True)

    threading.Thread(target=load, name="import-litellm", daemon=True).start()


def litellm_module() -> Any:
    """The litellm module, prepared: local prices, no telemetry, quiet."""
    global _prepared
    with _import_lock:
        if not _prepared:
            os.environ.update(_ENVIRONMENT)
        import litellm

        if not _prepared:
            # Of litellm's own types, said when it puts a stream together again; nobody here can do anything about it.
            warnings.filterwarnings("ignore", message=r"Item '\w+' on TypedDict class", category=UserWarning)
            litellm.telemetry = False
            litellm.suppress_debug_info = True
            litellm.drop_params = False  # LITELLM_DROP_PARAMS would win over what a call says
            litellm.disable_hf_tokenizer_download = True
            for name, level in _LOGGERS.items():
                logger = logging.getLogger(name)
                logger.setLevel(max(logger.level, level))
            _prepared = True
    return litellm
