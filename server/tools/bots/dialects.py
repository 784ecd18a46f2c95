"""The dialects that come with the bots, by what they speak to."""

from server.tools.bots.colyseus import Colyseus
from server.tools.bots.dialect import Dialect
from server.tools.bots.holdfast import Holdfast
from server.tools.bots.result import Plan


def dialect_of(plan: Plan) -> Dialect:
    """Raises ValueError where it comes from elsewhere."""
    if plan.target == "holdfast":
        return Holdfast(plan.url)
    if plan.target == "colyseus":
        return Colyseus(plan.url)
    raise ValueError(f"no dialect for {plan.target}")
