"""A throttled event waits until it can run or is too old, and a retry runs the function as it is by then.

Needed by 05_sync_vs_async, whose readers mend a failing function while Lambda may still be retrying. Plain MiniStack
retries with the code and the settings of the first attempt, and goes on when the function is gone; it counts a throttle
as an attempt too, so that an event is lost to a moment of high load.

AWS: "For throttling errors (429) and system errors (500-series), Lambda returns the event to the queue and attempts to
run the function again for up to 6 hours by default. The retry interval increases exponentially from 1 second after the
first attempt to a maximum of 5 minutes." Retries are counted for function errors only.
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
With a reserved concurrency of zero an event fails at once, "without any retries".
https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from workbook.emulator import asynchronous


def apply() -> None:
    """Replace how MiniStack runs asynchronous events."""
    asynchronous.install()
