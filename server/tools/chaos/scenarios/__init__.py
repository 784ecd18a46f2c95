"""Every scenario, by its name, in the order of the catalogue."""

from collections.abc import Mapping

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.scenarios import durability

SCENARIOS: Mapping[str, Scenario] = {scenario.name: scenario for scenario in (*durability.SCENARIOS,)}
