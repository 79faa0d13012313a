"""A thousand days, each with its own mail, faults, lag and kills: nothing wanted is lost, nothing is done twice.

WORKER_TEST_DAYS names how many days, WORKER_TEST_FIRST_DAY the seed of the first one; a failing seed is printed, and
``WORKER_TEST_DAYS=1 WORKER_TEST_FIRST_DAY=<seed>`` lives that day again.
"""

import gc
import os
from collections.abc import Iterator

import pytest

from tests.ledger.babel import speak_another_language
from tests.simulation import Day, verdict

DAYS = int(os.environ.get("WORKER_TEST_DAYS", "1000"))
FIRST = int(os.environ.get("WORKER_TEST_FIRST_DAY", "1"))
IN_A_ROW = 10


@pytest.fixture(autouse=True)
def _no_collection() -> Iterator[None]:
    """Leave cycles of objects alone: looking for them takes a twentieth of the time, and the memory is enough."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.simulated
@pytest.mark.parametrize("first", range(FIRST, FIRST + DAYS, IN_A_ROW))
def test_every_wanted_effect_happens_exactly_once(first: int) -> None:
    wanted = 0
    for seed in range(first, min(first + IN_A_ROW, FIRST + DAYS)):
        told = verdict(Day(seed).run())
        assert (told.lost, told.repeated, told.refused, told.unproved) == ([], [], 0, []), f"day {seed}"
        wanted += told.wanted
    assert wanted > 0


@pytest.mark.slow
def test_a_seed_replays_its_day() -> None:
    one, other = Day(7).run(), Day(7).run()
    assert [effect.at for effect in one.world.effects] == [effect.at for effect in other.world.effects]
    assert one.world.requests == other.world.requests


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 6))
def test_no_decision_depends_on_the_words_of_a_sentence(seed: int) -> None:
    plain, other = Day(seed), Day(seed)
    speak_another_language(other.runner)
    assert plain.run().world.effects == other.run().world.effects
    assert verdict(other).lost == []


@pytest.mark.slow
def test_the_judge_of_the_day_sees_what_is_lost_and_what_is_repeated() -> None:
    day = Day(6).run()
    first = next(effect for effect in day.world.effects if effect.operation == "move" and effect.by.startswith("token"))
    day.world.effects.append(first)
    assert len(verdict(day).repeated) == 1
    by, at = first.by, first.at
    day.world.add_message(sender="carol@partner.example", disposition="SUSPICIOUS")
    day.world.effects.append(type(first)(at, "block_senders.create", "email:carol@partner.example", by, changed=True))
    assert verdict(day).unproved == ["block_senders.create of email:carol@partner.example"]
    day.world.effects[:] = [effect for effect in day.world.effects if effect.target != first.target]
    assert any(first.target in lost for lost in verdict(day).lost)
