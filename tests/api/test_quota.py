"""The budget against a sandbox with a quota: no 429 of our own, also after restarts and beside other clients."""

import asyncio
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.api.desk import EPOCH, Inside, clock, loop_time, quickly
from worker.api import Budget, Client, Request, Response, Urgency
from worker.sandbox import ACCOUNT, World

WINDOW = 20.0
LIVES = st.lists(st.floats(0.5, 3) | st.floats(0.5, 30), max_size=5)
"""How long each process lives; several that die at once fall into one window."""


class Far(Inside):
    """A sandbox whose answers take time."""

    def __init__(self, world: World, seed: int) -> None:
        super().__init__(world)
        self.random = random.Random(seed)

    async def send(self, request: Request) -> Response:
        """Wait, send, and wait again."""
        await asyncio.sleep(self.random.uniform(0.02, 0.8))
        response = await super().send(request)
        await asyncio.sleep(self.random.uniform(0.02, 0.8))
        return response


@pytest.mark.slow
@pytest.mark.unmeasured
@given(st.integers(0, 9999), st.floats(0.3, 0.9), LIVES, st.integers(0, 12))
@example(0, 0.875, [24.0, 1.0], 7)  # a life that ends before it has heard what time it is
@example(0, 0.9, [25.0, 2.0], 5)  # two restarts in one window, each of which may ask once for the time
@example(0, 0.875, [24.0, 2.0, 1.0], 7)  # the one after the life that asked ends before it may ask at all
@settings(deadline=None, max_examples=40)
def test_whatever_we_do_the_api_never_says_429(seed: int, share: float, lives: list[float], others: int) -> None:
    async def ask(client: Client, urgency: Urgency) -> None:
        while True:
            await client.phishguard.reports(start=0, end=1, urgency=urgency)

    async def day() -> None:
        world = World(ACCOUNT, now=lambda: EPOCH + loop_time(), quota=(60, WINDOW))
        spent: list[tuple[float, int]] = []
        for life in [*lives, 60.0]:
            time = clock()
            budget = Budget(time, quota=60, window=WINDOW, share=share, spent=spent)
            client = Client(Far(world, seed), budget, time, ACCOUNT)
            asking = [asyncio.create_task(ask(client, urgency)) for urgency in [*Urgency] * 3]
            await asyncio.sleep(life)
            spent = budget.count_spent()
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            # No more at one moment than we leave to others: a burst beyond that meets requests already on their way.
            world.spend_elsewhere(min(others, int(60 * (1 - share))) * (life > WINDOW))
        answers = world.requests["GET phishguard/reports"]
        assert answers["429"] == 0
        # Three windows of the last life alone; less what a cautious start leaves unused.
        assert answers["200"] >= 2 * int(60 * share)

    quickly(day)


def test_others_who_spend_most_of_it_do_not_lead_us_into_a_429() -> None:
    async def ask(client: Client, times: int) -> None:
        for _ in range(times):
            await client.phishguard.reports(start=0, end=1, urgency=Urgency.HEAD)

    async def day() -> float:
        world = World(ACCOUNT, now=lambda: EPOCH + loop_time(), quota=(60, WINDOW))
        time = clock()
        client = Client(Far(world, 1), Budget(time, quota=60, window=WINDOW), time, ACCOUNT)
        await ask(client, 1)
        world.spend_elsewhere(40)
        await asyncio.gather(*(ask(client, 10) for _ in range(3)))
        assert world.requests["GET phishguard/reports"] == {"200": 31}
        return loop_time() - 100

    # 41 spent, 12 reserved for others: 7 go at once, and the rest once the window is over.
    assert WINDOW < quickly(day) < 2 * WINDOW
