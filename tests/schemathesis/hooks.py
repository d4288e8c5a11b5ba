"""What the tests of the document know besides the document."""

import atexit
import collections
import json
import os
import unicodedata
from pathlib import Path

import schemathesis
from schemathesis import CheckContext, HookContext

# Faults of requests that are of the schemas: a cluster that is not there, and these kinds at these places.
CANNOT_BE_STATED = {
    # The design: a token that the organization never issued.
    ("query", "continuation_token", "value_error"),
    # The design: `tags` and `tag` are at most 20 together.
    ("query", "tag", "too_long"),
    ("query", "tags", "too_long"),
    # The design: two keys equal after stripping.
    ("body", "tags", "duplicate_key"),
}


@schemathesis.check
def well_formed_requests_are_read(context: CheckContext, response, case) -> None:
    """What is of the schemas is not answered 422, but for what a schema cannot say."""
    if response.status_code != 422 or case.meta is None or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    if problem["error_code"] == "unknown_cluster":
        # Names of clusters are configuration. The dictionary has the one there is, but not in all phases.
        return
    unexplained = [fault for fault in problem["detail"] if not cannot_be_stated(fault, case)]
    assert not unexplained, f"the document has nothing against this: {unexplained}"


def cannot_be_stated(fault: dict, case) -> bool:
    loc, kind = fault["loc"], fault["type"]
    if (loc[0], loc[1] if len(loc) > 1 else None, kind) in CANNOT_BE_STATED:
        return True
    # The design: an inline LLM parameter beside `params` must equal the one in there, or be 1 where there is none.
    if kind == "conflict" and "llm_model_preferences" in loc:
        return True
    # The design: JSON types are strict. To a schema 1.0 is an integer, too.
    if kind == "integer_type":
        return isinstance(value_at(case.body, loc[1:]), float)
    # The design: `\\w` is as Unicode has it, without ² and ½, which Python counts among it.
    if "tags" in loc or "tag" in loc:
        return any(unicodedata.category(character) == "No" for character in str(case.body) + str(case.query))
    return False


def value_at(value, loc: list):
    for segment in loc:
        value = value[segment]
    return value


ANSWERED = collections.Counter()


@schemathesis.hook
def after_call(context: HookContext, case, response) -> None:
    """Counts what was answered: `run.py` looks whether every operation succeeded at times."""
    ANSWERED[f"{case.operation.definition.raw['operationId']} {response.status_code}"] += 1


@atexit.register
def write_down() -> None:
    Path(os.environ["REGISTRY_ANSWERED"]).write_text(json.dumps(ANSWERED))


@schemathesis.hook.apply_to(operation_id="signInWithApiKey")
def map_headers(context: HookContext, headers: dict) -> dict:
    """Gives most of those who name a key the one that there is."""
    credentials = {"x-api-key": "REGISTRY_API_KEY", "x-api-key-id": "REGISTRY_API_KEY_ID"}
    if headers and len(headers.get("x-api-key", "")) % 4 and all(headers.get(name) for name in credentials):
        return headers | {name: os.environ[variable] for name, variable in credentials.items()} | {"x-user-id": "alice"}
    return headers
