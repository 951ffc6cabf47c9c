"""What an execution environment is made from, and what a handler in it sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from workbook.emulator import clean_room
from workbook.errors import DeployError


def no_stand_in(function_name: str, runtime: str) -> DeployError:
    """Return the error for a function whose runtime nothing here can run."""
    return DeployError(
        f"{function_name} names the runtime {runtime!r}, which has no stand-in here.",
        why="The embedded target runs Python and Node.js handlers.",
        fix="Use python3.13 or nodejs22.x, or another target.",
    )


@dataclass(frozen=True, kw_only=True)
class EnvironmentSpec:
    """A function's configuration, its code, and its surroundings."""

    function_name: str
    handler: str
    runtime: str  # python3.13, nodejs22.x
    code_folder: Path  # the unpacked deployment package; the handler's working directory
    memory_mb: int
    timeout_s: float
    region: str
    credentials: Mapping[str, str]  # AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
    endpoint: str  # the emulator's address, for the AWS clients that the handler makes
    log_group: str
    scratch: Path  # an existing folder, in which the environment makes its temporary folder
    version: str = "$LATEST"
    layers: Path | None = None  # the merged layers: what AWS shows as /opt
    variables: Mapping[str, str] = field(default_factory=dict)  # the function's own
    initialization_type: str = "on-demand"  # or provisioned-concurrency

    def command(self) -> list[str]:
        """Return the command that runs the handler under a runtime client; its first word is the interpreter's path.

        Raises:
            SetupError: there is no interpreter for it.
            DeployError: the runtime has no stand-in here.
        """
        if self.runtime.startswith("python"):
            client = "awslambdaric" if clean_room.has_awslambdaric() else "python_client"
            return [str(clean_room.python()), "-m", client, self.handler]
        if self.runtime.startswith("nodejs"):
            return [str(clean_room.node()), str(clean_room.NODE_CLIENT), self.handler]
        raise no_stand_in(self.function_name, self.runtime)

    def environment_variables(self, log_stream: str, *, temporary: Path, interpreter: Path) -> dict[str, str]:
        """Return all variables that the handler sees: AWS's documented ones, the function's own, a few for its place.

        AWS's list: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        For its place: `temporary` instead of /tmp and of the learner's home, no bytecode beside its code, and its AWS
        clients pointed at the emulator. As on AWS, the function's own variables replace all but the reserved ones.
        """
        unreserved = {
            **self._search_paths(),
            "LANG": "en_US.UTF-8",
            "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
            "AWS_ENDPOINT_URL": self.endpoint,
            "HOME": str(temporary),
            "TMPDIR": str(temporary),
            "TZ": ":UTC",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        reserved = {
            **self.credentials,
            "_HANDLER": self.handler,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{self.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": self.function_name,
            "AWS_LAMBDA_FUNCTION_VERSION": self.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(self.memory_mb),
            "AWS_LAMBDA_INITIALIZATION_TYPE": self.initialization_type,
            "AWS_LAMBDA_LOG_GROUP_NAME": self.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
            "LAMBDA_TASK_ROOT": str(self.code_folder),
            "LAMBDA_RUNTIME_DIR": str(interpreter.parent),
        }
        return {**unreserved, **self.variables, **reserved}

    def _search_paths(self) -> dict[str, str]:
        """Return where programs, libraries and modules are looked for, those of the layers last.

        The folders of a layer: https://docs.aws.amazon.com/lambda/latest/dg/packaging-layers.html.
        """
        paths = {
            "PATH": ["/usr/local/bin", "/usr/bin", "/bin"],
            "LD_LIBRARY_PATH": [f"{self.code_folder}", f"{self.code_folder}/lib"],
        }
        if self.layers:
            paths["PATH"].append(f"{self.layers}/bin")
            paths["LD_LIBRARY_PATH"].append(f"{self.layers}/lib")
            if self.runtime.startswith("python"):
                modules = [f"python/lib/{self.runtime}/site-packages", "python"]
                paths["PYTHONPATH"] = [f"{self.layers}/{folder}" for folder in modules]
            else:
                release = self.runtime.removesuffix(".x").replace("nodejs", "node")
                modules = [f"nodejs/{release}/node_modules", "nodejs/node_modules"]
                paths["NODE_PATH"] = [f"{self.layers}/{folder}" for folder in modules]
        return {name: ":".join(folders) for name, folders in paths.items()}
