"""What a read costs that its guard decides by itself, on a lease, beside an OpenTelemetry span around the same call."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.timing.figures import Figure, paired, percentile
from benchmarks.timing.server import Address
from benchmarks.timing.workflow import READ, WORKFLOW
from stopwork import Stopwork

ROUNDS: Final = 5
#: Fewer than a guard keeps before it has to report, so that every one of them can be decided on the spot.
CALLS: Final = 600
LEASED_WITHIN_S: Final = 20
#: Longer than a read can take that asks nobody, and shorter than one that does.
LOCAL_WITHIN_US: Final = 250.0
#: The share of calls that may take longer: others use the machine as well.
DISTURBED: Final = 0.1


def measure(server: Address) -> list[Figure]:
    """Answer the median of guarded reads beside that of traced ones."""
    traced = _traced(_read)
    with Stopwork(f"http://127.0.0.1:{server.port}", server.agent) as guard, guard.run(WORKFLOW):
        guarded = guard.tool(READ)(_read)
        _wait_for_lease(guarded)
        rounds = [(_each_us(guarded), _each_us(traced)) for _ in range(ROUNDS)]
    for each, _ in rounds:
        if sum(took > LOCAL_WITHIN_US for took in each) > DISTURBED * CALLS:
            raise ValueError("the guard asked the server about reads that it could have decided")
    return [
        Figure(
            name="guard cost of a read, decided on a lease, p50",
            unit="µs",
            yardstick="an OpenTelemetry span around the same call",
            rounds=paired(*([percentile(each, 0.5) for each in of] for of in zip(*rounds, strict=True))),
            aim="≤ 0.4",
        )
    ]


def _read(account: str) -> str:
    return account


def _wait_for_lease(read: Callable[[str], str]) -> None:
    end = time.monotonic() + LEASED_WITHIN_S
    while time.monotonic() < end:
        started = time.perf_counter()
        read("account-0")
        if (time.perf_counter() - started) * 1e6 < LOCAL_WITHIN_US:
            return
        time.sleep(0.05)
    raise ValueError("the guard was given no lease")


def _each_us(read: Callable[[str], str]) -> list[float]:
    """Answer how long each of so many reads took, after the reports of earlier ones have gone out."""
    time.sleep(1.5)
    taken = []
    for number in range(CALLS):
        account = f"account-{number}"
        started = time.perf_counter_ns()
        read(account)
        taken.append((time.perf_counter_ns() - started) / 1e3)
    return taken


class _Nowhere(SpanExporter):
    """Takes every span and sends none."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002
        return SpanExportResult.SUCCESS


def _traced(read: Callable[[str], str]) -> Callable[[str], str]:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_Nowhere()))
    tracer = provider.get_tracer("benchmarks")

    def traced(account: str) -> str:
        with tracer.start_as_current_span(READ) as span:
            span.set_attribute("account", account)
            return read(account)

    return traced
