"""Every scenario, by its name, in the order of the catalogue."""

from collections.abc import Mapping

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.scenarios import compound, durability, hostile, ownership, presence, storage, strangers

_PARTS = (durability, storage, ownership, presence, strangers, hostile, compound)

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for part in _PARTS for scenario in part.SCENARIOS}
