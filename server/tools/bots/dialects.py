"""The dialects, by what they speak to."""

from server.tools.bots.colyseus import Colyseus
from server.tools.bots.dialect import Dialect
from server.tools.bots.holdfast import Holdfast
from server.tools.bots.result import Plan
from server.tools.bots.socketio import SocketIo


def dialect_of(plan: Plan) -> Dialect:
    match plan.target:
        case "holdfast":
            return Holdfast(plan.url)
        case "colyseus":
            return Colyseus(plan.url)
        case "socketio":
            return SocketIo(plan.url)
