"""Turns, rates, pauses and cool-downs by a clock of our own: nothing here waits."""

from __future__ import annotations

import threading
from datetime import datetime, timezone

import pytest

from orchestrator_dagster.errors import (
    ModelCoolingDownError,
    ModelError,
    ModelKeyError,
    ModelTimeoutError,
    ModelTurnError,
    StepInterruptedError,
)
from orchestrator_dagster.models.client import UNWATCHED, ModelReference, Watch
from orchestrator_dagster.models.rates import MinuteWindow
from orchestrator_dagster.models.traffic import Lane, Patience, Rates, lane

MODEL = ModelReference("openai", "gpt-5")
OTHER = ModelReference("openai", "gpt-5-mini")


class Clock:
    """Time that goes on only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def road(clock: Clock) -> Lane:
    return Lane("openai", clock, clock.wait)


def take(
    road: Lane, tokens: int = 10, rates: Rates | None = None, watch: Watch = UNWATCHED, model: object = MODEL
) -> object:
    return road.turn(model, tokens, rates or Rates(), Patience(), watch)  # type: ignore[arg-type]


def test_requests_a_minute(road: Lane, clock: Clock) -> None:
    began = []
    for _ in range(7):
        take(road, rates=Rates(requests_per_minute=3))
        began.append(clock.now - 1000)
    assert began == [0, 0, 0, 60, 60, 60, 120]


def test_tokens_a_minute_count_what_was_billed(road: Lane, clock: Clock) -> None:
    rates = Rates(tokens_per_minute=1000)
    first = take(road, 900, rates)
    road.billed(first, 100)  # type: ignore[arg-type]
    take(road, 900, rates)
    assert clock.now == 1000
    clock.now += 10
    take(road, 900, rates)
    assert clock.now == 1060


def test_a_call_larger_than_the_limit_goes_alone(road: Lane, clock: Clock) -> None:
    rates = Rates(tokens_per_minute=1000)
    take(road, 5000, rates)
    take(road, 5000, rates)
    assert clock.now == 1060


def test_any_window_of_a_minute_holds(clock: Clock) -> None:
    window, times, now = MinuteWindow(), [], 0.0
    for n in range(200):
        now += (n * 7919 % 13) / 2
        now += window.wait(now, 100, requests=10, tokens=700)
        assert window.wait(now, 100, requests=10, tokens=700) == 0
        window.take(now, 100)
        times.append(now)
    for start in times:
        assert sum(start <= one < start + 60 for one in times) <= 7  # 7 calls of 100 tokens


def test_a_turn_that_does_not_come_in_time(road: Lane) -> None:
    rates = Rates(requests_per_minute=1)
    take(road, rates=rates)
    with pytest.raises(
        ModelTurnError, match="no call to openai could go in time: 1 requests a minute are allowed"
    ) as e:
        take(road, rates=rates, watch=Watch(deadline=1030))
    assert e.value.usage is not None
    assert e.value.usage.calls == 0


def test_a_stopped_run_does_not_wait(road: Lane) -> None:
    rates = Rates(requests_per_minute=1)
    take(road, rates=rates)
    with pytest.raises(StepInterruptedError):
        take(road, rates=rates, watch=Watch(interrupted=lambda: True))


def test_what_a_provider_asks_for_holds_for_all_calls_of_the_model(road: Lane, clock: Clock) -> None:
    road.ask_again_after(MODEL, 20)
    take(road, model=OTHER)
    assert clock.now == 1000
    assert road.cooling(MODEL) == 20
    take(road)
    assert clock.now == 1020


def test_a_long_pause_is_said_until_when(road: Lane) -> None:
    road.ask_again_after(MODEL, 600)
    with pytest.raises(
        ModelCoolingDownError, match=r"openai:gpt-5 is not asked until \d\d:\d\d:\d\d UTC \(in 600 s\)"
    ) as e:
        take(road)
    assert e.value.retry_after == 600
    assert not e.value.permanent
    said = e.value.message.split("until ")[1].split(" UTC")[0]
    assert (
        abs((datetime.strptime(said, "%H:%M:%S") - datetime.now(timezone.utc).replace(tzinfo=None)).seconds - 600) < 60
    )


def test_failures_in_a_row_cool_an_endpoint_down(road: Lane, clock: Clock) -> None:
    patience = Patience(cool_down_after=3, cool_down=100)
    for _ in range(2):
        road.failed(ModelTimeoutError("late"), patience)
    road.failed(ModelKeyError("no"), patience)  # an answer all the same: the row is broken
    for _ in range(2):
        road.failed(ModelError("down"), patience)
    assert road.cooling(MODEL) == 0
    road.failed(ModelError("down again"), patience)
    assert road.cooling(MODEL) == road.cooling(OTHER) == 100
    with pytest.raises(
        ModelCoolingDownError, match="left alone for 100 s after 3 failures in a row, the last: down again"
    ):
        take(road)
    road.failed(ModelError("one that was under way"), patience)
    assert road.cooling(MODEL) == 100
    clock.now += 100
    take(road)
    road.failed(ModelError("still"), patience)
    assert road.cooling(MODEL) == 200  # twice as long
    road.served()
    assert road.cooling(MODEL) == 0


def test_a_short_cool_down_is_waited_for(road: Lane, clock: Clock) -> None:
    for _ in range(5):
        road.failed(ModelError("down"), Patience())
    take(road)
    assert clock.now == 1015
    for _ in range(1):
        road.failed(ModelError("down"), Patience())
    with pytest.raises(ModelCoolingDownError):
        take(road, watch=Watch(deadline=clock.now + 5))


def test_a_process_has_one_lane_for_an_address() -> None:
    assert lane("openai", "http://a") is lane("openai", "http://a")
    assert lane("openai", "http://a") is not lane("openai", None)


def test_calls_at_once_in_threads() -> None:
    road, most, going, lock = Lane("openai"), 0, 0, threading.Lock()
    gate = threading.Event()

    def call() -> None:
        nonlocal most, going
        with road.one_of(3):
            with lock:
                going += 1
                most = max(most, going)
                if going == 3:
                    gate.set()
            assert gate.wait(20)
            with lock:
                going -= 1

    threads = [threading.Thread(target=call) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (most, going) == (3, 0)
    with road.one_of(None), road.one_of(1):
        pass
