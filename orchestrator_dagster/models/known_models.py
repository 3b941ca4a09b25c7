"""All that a choice of models needs to know: the catalogue, one's own models, and what can be reached."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.prices import Price, price_of
from orchestrator_dagster.models.references import parse_reference
from orchestrator_dagster.models.user_models import OWN, UserModels

if TYPE_CHECKING:
    from orchestrator_dagster.models.catalogue import Catalogue
    from orchestrator_dagster.models.reach import Place, Reachability


class KnownModels:
    """Made once for a run and shared by its steps. Nothing is read before it is asked for.

    Args:
        own: The models of ``models.yaml``.
        endpoints: Providers with an own URL or key.
        offline: Take local servers as absent.
        catalogue: Another catalogue than the usual one.
    """

    def __init__(
        self,
        own: UserModels = MappingProxyType({}),
        endpoints: Mapping[str, Place] = MappingProxyType({}),
        *,
        offline: bool = False,
        catalogue: Catalogue | None = None,
    ) -> None:
        self.own = dict(own)
        self._endpoints, self._offline = endpoints, offline
        self._catalogue = catalogue
        self._reach: Reachability | None = None
        self._lock = threading.Lock()

    # The two are made, and their modules loaded, when a model is chosen: checking files needs neither.

    @property
    def catalogue(self) -> Catalogue:
        """What is known of models."""
        with self._lock:
            if self._catalogue is None:
                from orchestrator_dagster.models.catalogue import Catalogue

                self._catalogue = Catalogue(self.own)
            return self._catalogue

    @property
    def reach(self) -> Reachability:
        """Whether models can be reached."""
        with self._lock:
            if self._reach is None:
                from orchestrator_dagster.models.reach import Reachability

                self._reach = Reachability(self._endpoints, self.own, offline=self._offline)
            return self._reach

    def parse(self, name: str) -> ModelReference:
        """The model that a name stands for.

        Raises:
            UnknownModelError: It stands for none.
        """
        return parse_reference(name, self.own)

    def price(self, model: ModelReference) -> Price | None:
        """The price of a model, None for an unknown one: a model of one's own has the prices of its entry."""
        own = self.own.get(model.name) if model.provider == OWN else None
        if own is None:
            return price_of(model)
        if own.input_price is not None and own.output_price is not None:
            return Price(own.input_price, own.output_price)
        return price_of(ModelReference(own.provider, own.model)) if own.base_url is None else None
