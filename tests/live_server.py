"""The server as a process, for the tests that are written in Python. Needs nothing but the standard library."""

import os
import queue
import subprocess
import sys
import threading

# How long each step may take, in seconds.
STEP = 120
SECRET = "a secret of the client tests, of 32 bytes or more"
PREFIX = "listening on "


def run(*command: str) -> str:
    """What a command prints that must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=STEP, env=environment())
    if done.returncode != 0:
        sys.exit(f"error: `{' '.join(command[1:3])}` failed with exit code {done.returncode}")
    return done.stdout


def environment() -> dict:
    """The variables of this process, without those that would change what is tested."""
    ours = ("SERVICE_", "AMIGO_", "SCHEMATHESIS_")
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
