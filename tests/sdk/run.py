"""The official Python clients against the server: what one generation writes, the other reads.

Usage: run.py SERVER --python=2.5.0=INTERPRETER --python=0.10.0=INTERPRETER

Each interpreter belongs to a virtual environment that has that version of `amigo-sdk`. `cargo xtask test --sdk` makes them, and
calls this. Needs nothing but the standard library.
"""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).parent
# How long each step may take, in seconds.
STEP = 120
SECRET = "a secret of the client tests, of 32 bytes or more"
PREFIX = "listening on "


def main() -> None:
    server, *options = sys.argv[1:]
    interpreters = dict(option.removeprefix("--python=").split("=", 1) for option in options)
    with tempfile.TemporaryDirectory(prefix="service-registry-sdk-") as directory:
        store = f"sqlite:{directory}/registry.sqlite"
        run(server, "catalog", "apply", str(HERE / "catalog.json"), "--store", store)
        key = json.loads(run(server, "api-key", "create", "--org", "acme", "--store", store))
        written = f"{directory}/written.json"
        steps = [("current.py", "2.5.0", "off"), ("older.py", "0.10.0", "on")]
        for script, version, rate_limits in steps:
            with Server(server, "--store", store, "--rate-limits", rate_limits) as url:
                client(os.path.abspath(interpreters[version]), script, written, url, key, directory)
            print(f"amigo-sdk {version}: passed")


def run(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=STEP, env=environment())
    if done.returncode != 0:
        sys.exit(f"error: `{' '.join(command[1:3])}` failed with exit code {done.returncode}")
    return done.stdout


def client(python: str, script: str, written: str, url: str, key: dict, directory: str) -> None:
    variables = {
        "AMIGO_BASE_URL": url,
        "AMIGO_ORGANIZATION_ID": "acme",
        "AMIGO_API_KEY_ID": key["api_key_id"],
        "AMIGO_API_KEY": key["api_key"],
        "AMIGO_USER_ID": "alice",
    }
    # In a directory without an `.env`, which the clients would read.
    done = subprocess.run(
        [python, str(HERE / script), written], cwd=directory, env=environment() | variables, timeout=STEP
    )
    if done.returncode != 0:
        sys.exit(f"error: {script} failed")


def environment() -> dict:
    ours = ("SERVICE_", "AMIGO_")
    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours) and name not in proxies}
    return kept | {"SERVICE_JWT_SECRET": SECRET, "SERVICE_LOG": "warn"}


class Server:
    """A server on a free port, until the end of the block, where it must end in good order."""

    def __init__(self, server: str, *arguments: str) -> None:
        command = [server, "serve", "--listen", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment())
        self.lines: queue.Queue = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self) -> None:
        for line in self.process.stderr:
            if not line.startswith(PREFIX):
                sys.stderr.write(line)
            self.lines.put(line)
        self.lines.put("")

    def __enter__(self) -> str:
        try:
            while line := self.lines.get(timeout=STEP):
                if line.startswith(PREFIX):
                    return line.removeprefix(PREFIX).strip()
        except queue.Empty:
            pass
        self.process.kill()
        self.process.wait()
        sys.exit("error: the server did not start")

    def __exit__(self, kind, error, trace) -> None:
        self.process.terminate()
        try:
            code = self.process.wait(timeout=STEP)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        if code != 0 and kind is None:
            sys.exit(f"error: the server ended with {code}")


if __name__ == "__main__":
    main()
