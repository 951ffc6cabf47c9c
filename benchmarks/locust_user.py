"""What Locust runs, in its own virtual environment: one user who makes a counted number of calls, one after the other."""

import os

from locust import HttpUser, task

_PATH = "/2015-03-31/functions/bench/invocations"


class Caller(HttpUser):
    """Calls once to open the connection, then as often as BENCH_CALLS says."""

    def on_start(self):
        self.left = int(os.environ["BENCH_CALLS"])
        self.client.post(_PATH, data=b"{}", name="warm-up")

    @task
    def invoke(self):
        self.client.post(_PATH, data=b"{}", name="call")
        self.left -= 1
        if not self.left:
            self.environment.runner.quit()
