"""All that a choice of models needs to know: the catalogue, one's own models, and what can be reached."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from orchestrator_dagster.models.catalogue import Catalogue
from orchestrator_dagster.models.client import ModelReference
from orchestrator_dagster.models.reach import Place, Reachability
from orchestrator_dagster.models.references import parse_reference
from orchestrator_dagster.models.user_models import UserModels


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
        self.catalogue = catalogue or Catalogue(self.own)
        self.reach = Reachability(endpoints, self.own, offline=offline)

    def parse(self, name: str) -> ModelReference:
        """The model that a name stands for.

        Raises:
            UnknownModelError: It stands for none.
        """
        return parse_reference(name, self.own)
