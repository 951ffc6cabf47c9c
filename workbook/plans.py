"""Many calls: cold, warm, paced, in a closed loop, and in a burst, each turned into a record that says what it counts as.

A plan decides when calls are made and which of them count; how one is made is the caller's affair. It needs the standard
library only, so that it also runs inside a function on Lambda.

Whatever is compared is measured in turns, in a new order every round: a busy moment of the machine meets all of it.
"""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from workbook.errors import ParameterError
from workbook.records import Record

Caller = Callable[..., Record]
"""Makes one call, labelled with the `variant`, `attempt` and `intended_at` that it gets, and returns its record."""

Keep = Callable[[Record], None]

# So many calls of a paced plan may be under way at once, each in a thread of its own. By default an account has no more:
# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
_UNDER_WAY = 1000


class Judge:
    """Says what a record counts as, seeing the records of one plan in the order of their calls.

    A call is proven cold by an environment that no call before it met, and by an init phase that it waited for; it is
    proven warm by an environment that is known. What isn't proven doesn't count: neither an init phase that Lambda ran
    ahead of the call, nor one that it ran again in an environment after a timeout.
    """

    def __init__(self, wanted: str | None) -> None:
        """Judge by the temperature that is wanted, cold or warm, or by none."""
        self._wanted = wanted
        self._met: set[tuple[str, str | None]] = set()

    def __call__(self, record: Record) -> Record:
        """Return the record with `counts_as` set. A warm-up stays one."""
        place = (record.function, record.environment)
        is_known = place in self._met
        self._met.add(place)
        if record.counts_as == "warm-up":
            return record
        if record.error_type:
            return replace(record, counts_as="error")
        expected = "warm" if is_known else "cold" if _waited_for_init(record) else None
        proven = record.environment is not None and record.temperature == expected
        right = self._wanted is None or (proven and record.temperature == self._wanted)
        return replace(record, counts_as="result" if right else "wrong temperature")


def _waited_for_init(record: Record) -> bool:
    """Return whether the caller can have waited for the init phase, as far as there is a REPORT line to tell."""
    if record.duration_ms is None:
        return True
    return record.init_ms is not None and record.client_ms >= record.init_ms + record.duration_ms


def interleaved(names: Iterable[str], repeats: int, rng: random.Random) -> Iterator[tuple[int, str]]:
    """Yield `(attempt, name)`: every name once a round, `repeats` rounds counted from 1, each in an order of its own.

    Raises:
        ParameterError: there are no names, or fewer than one round.
    """
    names = list(names)
    if not names or repeats < 1:
        raise ParameterError(
            f"{repeats} rounds of {len(names)} variants measure nothing.",
            why="A measurement needs at least one call of one variant.",
            fix="Name a variant, and repeat it once or more.",
        )
    for attempt in range(1, repeats + 1):
        yield from ((attempt, name) for name in rng.sample(names, len(names)))


def cold(
    variants: Mapping[str, Caller],
    *,
    prepare: Callable[[str], None],
    repeats: int,
    rng: random.Random,
    keep: Keep = lambda _: None,
) -> list[Record]:
    """Call each variant until `repeats` calls count, each after `prepare(variant)` has made its environments useless.

    Calls that don't count are made up for by further rounds, up to twice as many rounds in all.

    Raises:
        ParameterError: as `interleaved` does.
    """
    judge, records, counted = Judge("cold"), [], Counter()
    for attempt, variant in interleaved(variants, 2 * repeats, rng):
        if counted[variant] < repeats:
            prepare(variant)
            record = judge(variants[variant](variant=variant, attempt=attempt))
            counted[variant] += record.counts_as == "result"
            records.append(record)
            keep(record)
    return records


def warm(
    variants: Mapping[str, Caller],
    *,
    repeats: int,
    rng: random.Random,
    warm_ups: int = 3,
    block: int = 1,
    keep: Keep = lambda _: None,
    judge: Judge | None = None,
) -> list[Record]:
    """Call each variant `repeats` times in blocks, after `warm_ups` calls that are kept apart.

    In a block a variant is called several times in a row: an environment that stood still during the others' turns is
    slow to wake, and where that is not what is asked for, a longer block keeps it out. A plan that goes on where another
    ended takes over its `judge`, who knows the environments, and needs no warm-ups.

    Raises:
        ParameterError: as `interleaved` does.
    """
    judge, records = judge or Judge("warm"), []

    def call(variant: str, attempt: int, counts_as: str) -> None:
        record = variants[variant](variant=variant, attempt=attempt)
        records.append(judge(replace(record, counts_as=counts_as)))
        keep(records[-1])

    for attempt, variant in interleaved(variants, warm_ups, rng) if warm_ups else ():
        call(variant, attempt, "warm-up")
    for round_, variant in interleaved(variants, -(-repeats // block), rng):
        for attempt in range((round_ - 1) * block + 1, min(round_ * block, repeats) + 1):
            call(variant, attempt, "result")
    return records


def paced(call: Caller, *, rate_per_s: float, count: int, keep: Keep = lambda _: None) -> list[Record]:
    """Make `count` calls, each due at its own moment, `rate_per_s` a second, whether or not those before it have ended.

    This is the open loop: those who call don't know of each other. `client_ms` counts from the moment that a call was
    due. Counted from the moment that it went, the calls that had to wait for a slow one would look fast, and the tail
    would be hidden: https://www.scylladb.com/2021/04/22/on-coordinated-omission/

    Raises:
        ParameterError: the rate isn't above 0, or there is nothing to call; or 1,000 calls are under way when another is
            due, which would have to wait for one of them.
    """
    if not (rate_per_s > 0 and count >= 1):
        raise ParameterError(
            f"{count} calls at {rate_per_s} a second can't be paced.",
            why="Each call is due a fixed time after the one before it.",
            fix="Give at least one call, and a rate above 0.",
        )
    judge, lock, records = Judge(None), threading.Lock(), []
    start, start_s = datetime.now(UTC), time.perf_counter()
    under_way = threading.BoundedSemaphore(_UNDER_WAY)

    def call_at(attempt: int, due: datetime) -> None:
        record = call(attempt=attempt, intended_at=due.isoformat())
        late = datetime.fromisoformat(record.started_at) - due
        late_ms = max(0.0, late / timedelta(milliseconds=1))
        with lock:
            records.append(judge(replace(record, client_ms=record.client_ms + late_ms)))
            keep(records[-1])

    with ThreadPoolExecutor(min(count, _UNDER_WAY)) as callers:
        made = []
        for attempt in range(1, count + 1):
            due_s = (attempt - 1) / rate_per_s
            time.sleep(max(0.0, start_s + due_s - time.perf_counter()))
            if not under_way.acquire(blocking=False):
                raise ParameterError(
                    f"Call {attempt} is due, and {_UNDER_WAY} calls at {rate_per_s} a second are still under way.",
                    why="If it waited for one of them to end, the loop would be closed, and no longer show what a stall does.",
                    fix="Lower the rate, or what a call waits for.",
                )
            made.append(callers.submit(call_at, attempt, start + timedelta(seconds=due_s)))
            made[-1].add_done_callback(lambda _: under_way.release())
        for one in made:
            one.result()
    return sorted(records, key=lambda record: record.attempt)


def closed(call: Caller, *, callers: int, count: int, keep: Keep = lambda _: None) -> list[Record]:
    """Have several callers make `count` calls between them, each the next one when it has its answer, and return the records.

    This is the closed loop, which many load generators are by default, and a mistake where callers are independent:
    `client_ms` counts from the moment that a call went, and while the target stalls nobody calls. So a stall is met by
    as many calls as there are callers, however long it lasts; the calls that were due meanwhile are never made, nor
    counted. That is coordinated omission: https://www.scylladb.com/2021/04/22/on-coordinated-omission/, and
    https://www.usenix.org/legacy/event/nsdi06/tech/schroeder.html on open and closed systems. `paced` does without.

    Raises:
        ParameterError: there is no caller, or less than one call for each.
    """
    if not 1 <= callers <= count:
        raise ParameterError(
            f"{callers} callers can't make {count} calls between them.",
            why="Each of them makes one call or more.",
            fix="Give 1 caller or more, and at least as many calls.",
        )
    judge, lock, records = Judge(None), threading.Lock(), []
    attempts = iter(range(1, count + 1))

    def call_again_and_again() -> None:
        while attempt := _next(attempts, lock):
            record = call(attempt=attempt)
            with lock:
                records.append(judge(record))
                keep(records[-1])

    with ThreadPoolExecutor(callers) as pool:
        for one in [pool.submit(call_again_and_again) for _ in range(callers)]:
            one.result()
    return sorted(records, key=lambda record: record.attempt)


def _next(attempts: Iterator[int], lock: threading.Lock) -> int | None:
    """Return the next of several numbers that threads share, or None if there is none left."""
    with lock:
        return next(attempts, None)


def burst(call: Caller, *, callers: int, keep: Keep = lambda _: None) -> list[Record]:
    """Have several callers call at the same moment, once each, and return their records.

    Raises:
        ParameterError: there is no caller.
    """
    if callers < 1:
        raise ParameterError(f"A burst of {callers} callers is none.", why="Nobody would call.", fix="Give 1 or more.")
    ready = threading.Barrier(callers)

    def call_with_the_others(attempt: int) -> Record:
        ready.wait()
        return call(attempt=attempt)

    with ThreadPoolExecutor(callers) as pool:
        records = list(map(Judge(None), pool.map(call_with_the_others, range(1, callers + 1))))
    for record in records:
        keep(record)
    return records
