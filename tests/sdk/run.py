"""The official Python clients against the server: what one generation writes, the other reads.

Usage: run.py SERVER --python=2.5.0=INTERPRETER --python=0.10.0=INTERPRETER

Each interpreter belongs to a virtual environment that has that version of `amigo-sdk`. `cargo xtask test --sdk` makes them, and
calls this. Needs nothing but the standard library.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from live_server import STEP, Server, environment, run


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


if __name__ == "__main__":
    main()
