"""A simulation takes the lanes that live sending then takes: the same turns, the same limits, the same second tries."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import text
from stubs import CONFIG, JOURNEY, World

from engine.app import App
from engine.simulate.answers import Answers, Responder
from engine.simulate.run import copy_of, run
from engine.work.tick import tick

SEVERAL = """sms:
    retry_for: 2d
    providers:
      moody: {provider: simulated, seed: 3, unavailable: 30%, reject: 20%, reject_reason: sender, weight: 3}
      narrow: {provider: simulated, seed: 4, quota: 12, concurrency: 2, rate: [4/s, 9/m]}
      spare: {provider: simulated, seed: 5, uncertain: 10%, order: 2, not_countries: [CN]}"""


def asked(app: App) -> list[tuple[Any, ...]]:
    """Everything that happened to messages, by their keys."""
    query = "SELECT m.key, d.attempt, d.weight, d.kind, d.rule, d.reason, d.provider, d.at FROM delivery d "
    with app.database.reading() as connection:
        rows = connection.execute(text(query + "JOIN message m ON m.id = d.message_id ORDER BY 1, 2, 3"))
        return [tuple(row) for row in rows]


def test_S14_a_simulation_asks_the_same_lanes_in_the_same_order_as_live_sending(tmp_path: Path) -> None:
    config = CONFIG.replace("sms: {provider: simulated}", SEVERAL)
    config = config.replace('quiet_hours: {sms: "21:00-08:00"}', "quiet_hours: {sms: none}")
    world = World(tmp_path / "shop", {"note": JOURNEY.replace("[email, sms]", "[sms]")}, config)
    world.app.providers.clear()
    world.order(*world.people(60))
    until = world.clock.now() + timedelta(days=2)
    with copy_of(world.app, world.clock.now()) as copy:
        visited = run(copy, until, Responder(Answers()))
        predicted = asked(copy)
    for instant in visited:
        world.clock.move_to(instant)
        tick(world.app)
    assert asked(world.app) == predicted
    by = Counter((row[6], row[3]) for row in predicted)
    for label in ("moody (simulated)", "narrow (simulated)", "spare (simulated)"):
        assert by[label, "accepted"] > 5
    assert by["moody (simulated)", "retry"] > 5
    world.close()
