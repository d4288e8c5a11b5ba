"""Schemathesis against the server, by the document that it serves.

Usage: run.py SERVER SCHEMATHESIS [--seed NUMBER] [--rounds NUMBER]

SCHEMATHESIS is the program of that name, in a virtual environment. `cargo xtask test --schemathesis` makes one, and calls this.
Needs nothing but the standard library. The same seed asks the same questions; each round takes the next one.
"""

import argparse
import collections
import json
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from live_server import STEP, Server, environment, run

CATALOG = HERE.parent.parent / "crates/service-server/src/demo/catalog.json"
ORGANIZATION = "harbor-health"
METHODS = {"get", "post", "put", "delete", "patch", "head", "options", "trace"}
# Each with whether it can refuse.
OPERATIONS = {
    "listServices": True,
    "createService": True,
    "updateService": True,
    "upsertVersionSet": True,
    "deleteVersionSet": True,
    "signInWithApiKey": True,
    "health": False,
    "readiness": False,
    "metrics": False,
    "document": False,
    "documentationPage": False,
    "documentationFile": True,
}
# How long a round may take, in seconds. What is cut off has not been tested, and fails.
TIME = 300


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server")
    parser.add_argument("schemathesis")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="service-registry-schemathesis-") as directory:
        store = f"sqlite:{directory}/registry.sqlite"
        run(options.server, "catalog", "apply", str(CATALOG), "--store", store)
        key = json.loads(run(options.server, "api-key", "create", "--org", ORGANIZATION, "--store", store))
        token = run(options.server, "token", "--org", ORGANIZATION, "--user", "alice", "--ttl", "1d").strip()
        answered = Path(directory, "answered.json")
        variables = {
            "REGISTRY_ANSWERED": str(answered),
            "REGISTRY_HOOKS": str(HERE / "hooks.py"),
            "REGISTRY_TOKEN": token,
            "REGISTRY_API_KEY": key["api_key"],
            "REGISTRY_API_KEY_ID": key["api_key_id"],
        }
        # The same store under two names: what is created by the one is found by the other.
        arguments = ["--store", store, "--cluster", f"west={store}", "--rate-limits", "off"]
        with Server(options.server, *arguments) as url:
            # A file of it: what it is asked for at its own address is not tested.
            document = Path(directory, "openapi.json")
            with urllib.request.urlopen(f"{url}/openapi.json", timeout=STEP) as answer:
                document.write_bytes(answer.read())
            known = {operation["operationId"] for path in json.loads(document.read_text())["paths"].values()
                     for method, operation in path.items() if method in METHODS}
            if known != OPERATIONS.keys():
                sys.exit(f"error: the operations of the document are others: {known ^ OPERATIONS.keys()}")
            counts: collections.Counter = collections.Counter()
            for number in range(options.rounds):
                seed = options.seed + number
                command = [options.schemathesis, "--config-file", str(HERE / "schemathesis.toml"), "run"]
                command += [str(document), "--url", url, "--checks", "all", "--no-color", "--seed", str(seed)]
                # The phases before are the same for every seed.
                command += ["--phases", "fuzzing,stateful"] if number else []
                # It leaves files where it runs.
                done = subprocess.run(command, cwd=directory, env=environment() | variables, timeout=TIME)
                if done.returncode != 0:
                    sys.exit(f"error: the server and its document differ (--seed {seed})")
                counts.update(json.loads(answered.read_text()))
        reached(counts)


def reached(answered: collections.Counter) -> None:
    """Fails unless every operation succeeded and refused, each at least a few times."""
    missed = []
    for operation, refuses in OPERATIONS.items():
        counts = {key.split()[1]: count for key, count in answered.items() if key.split()[0] == operation}
        print(f"{operation}: " + ", ".join(f"{count} times {status}" for status, count in sorted(counts.items())))
        successes = sum(count for status, count in counts.items() if status.startswith("2"))
        if successes < 3 or (refuses and sum(counts.values()) - successes < 3):
            missed.append(operation)
    if missed:
        sys.exit(f"error: hardly tested: {', '.join(missed)}")


if __name__ == "__main__":
    main()
