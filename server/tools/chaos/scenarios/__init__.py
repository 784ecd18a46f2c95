"""Every scenario, by its name, in the order of the catalogue."""

from collections.abc import Mapping

from server.tools.chaos.catalogue import Scenario
from server.tools.chaos.scenarios import durability, hostile, ownership, presence, storage

SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        *durability.SCENARIOS,
        *ownership.SCENARIOS,
        *presence.SCENARIOS,
        *hostile.SCENARIOS,
        *storage.SCENARIOS,
    )
}
