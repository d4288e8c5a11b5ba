"""amigo-sdk 2.5.0: signs in, lists, creates, updates, upserts and deletes version sets, and sees typed errors.

Writes what it left behind to the file named, for the older client to find.
"""

import json
import sys
import warnings
from contextlib import contextmanager

from amigo_sdk import errors
from amigo_sdk.generated.model import (
    GetServicesParametersQuery,
    ServiceCreateServiceRequest,
    ServiceUpdateServiceRequest,
    ServiceUpsertServiceVersionSetRequest,
)
from amigo_sdk.sdk_client import AmigoClient

AGENT, OTHER_AGENT = "6630f0a0a1b2c3d4e5f60001", "6630f0a0a1b2c3d4e5f60002"
STATE_MACHINE = "6630f0a0b1b2c3d4e5f60001"
LLM = "openai_gpt-5.5-2026-04-23"
COUNT = 23


def main() -> None:
    # About tags: see `tagged`.
    warnings.filterwarnings("ignore", "Pydantic serializer warnings", UserWarning)
    with AmigoClient() as client:
        ids = create(client)
        pages(client, ids)
        filters(client, ids)
        update(client, ids)
        version_sets(client, ids)
        refusals(client, ids)
        leave(client, sys.argv[1])
    strangers(ids)


def create(client: AmigoClient) -> dict:
    ids = {}
    for number in range(COUNT):
        body = {
            "name": name(number),
            "description": f"  Helps with {number}.  ",
            "is_active": number % 3 != 0,
            "agent_id": AGENT,
            "service_hierarchical_state_machine_id": STATE_MACHINE,
            "keyterms": ["metformin", "blood pressure"] if number % 2 else [],
        }
        tags = {"team": "care" if number % 2 else "sales", "number": str(number)}
        if number == 1:
            preferences = {"respond": {"llm_name": LLM, "params": {"temperature": 0.5}}}
            body["release_version_set"] = version_set(2, 1, preferences)
        ids[body["name"]] = client.services.create_service(tagged(ServiceCreateServiceRequest, tags, **body)).id
    assert len(set(ids.values())) == COUNT
    release = only(client, ids[name(1)]).version_sets["release"]
    assert release.agent_version_number == 2
    assert release.llm_model_preferences["respond"].params == {"temperature": 0.5}
    assert only(client, ids[name(2)]).description == "Helps with 2."
    return ids


def pages(client: AmigoClient, ids: dict) -> None:
    ascending = walk(client, sort_by=["+name"], limit=4)
    assert [service.name for service in ascending] == sorted(ids)
    descending = walk(client, sort_by=["-name"], limit=20)
    assert descending == ascending[::-1]
    mixed = walk(client, sort_by=["-is_active", "+name"], limit=7)
    assert mixed == sorted(ascending, key=lambda service: (not service.is_active, service.name))
    assert {service.id for service in walk(client)} == set(ids.values())


def filters(client: AmigoClient, ids: dict) -> None:
    care = walk(client, tags=["team:care"], sort_by=["+name"], limit=3)
    assert [service.name for service in care] == [name(number) for number in range(1, COUNT, 2)]
    assert [s.name for s in walk(client, tags=["team:*", "number:7"])] == [name(7)]
    assert walk(client, tags=["team:"]) == []
    assert len(walk(client, is_active=False)) == len(range(0, COUNT, 3))
    two = [ids[name(3)], ids[name(4)]]
    assert {service.id for service in walk(client, id=two)} == set(two)
    values = client.services.get_services().filter_values
    assert "team:care" in values.tags and "number:7" in values.tags


def update(client: AmigoClient, ids: dict) -> None:
    id = ids[name(4)]
    before = only(client, id)
    client.services.update_service(id, tagged(ServiceUpdateServiceRequest, {"team": "new"}, description="New"))
    after = only(client, id)
    assert (after.description, after.name, after.is_active) == ("New", before.name, before.is_active)
    assert [(tag.key, tag.value) for tag in after.tags] == [("team", "new")]
    client.services.update_service(id, ServiceUpdateServiceRequest(agent_id=OTHER_AGENT, is_active=False))
    assert only(client, id).agent_id == OTHER_AGENT
    assert only(client, id).updated_by.user_id == "alice"


def version_sets(client: AmigoClient, ids: dict) -> None:
    id = ids[name(5)]
    preferences = {
        "respond": {"llm_name": LLM, "params": {"top_p": 0.25, "temperature": 2, "top_k": 7, "other": {"a": [1]}}},
        "reflect": {"llm_name": "google_gemini-3.5-flash"},
    }
    for agent_version in (1, 3):
        upsert(client, id, "preview", version_set(agent_version, None, preferences))
    upsert(client, id, "gone", version_set(None, None, {}))
    client.services.delete_version_set(id, "gone")
    sets = only(client, id).version_sets
    assert set(sets) == {"edge", "release", "preview"}
    preview = sets["preview"]
    assert preview.agent_version_number == 3
    assert preview.service_hierarchical_state_machine_version_number is None
    assert preview.llm_model_preferences["respond"].params == preferences["respond"]["params"]
    assert preview.llm_model_preferences["reflect"].params == {}


def refusals(client: AmigoClient, ids: dict) -> None:
    id, absent = ids[name(5)], "0" * 24
    active = {"name": name(1), "is_active": True}
    with refused(errors.ConflictError, 409, "active_name_taken"):
        client.services.update_service(id, ServiceUpdateServiceRequest(**active))
    with refused(errors.NotFoundError, 404, "service_not_found"):
        client.services.update_service(absent, ServiceUpdateServiceRequest(**active))
    with refused(errors.NotFoundError, 404, "version_set_not_found"):
        client.services.delete_version_set(id, "gone")
    with refused(errors.BadRequestError, 400, "reserved_version_set"):
        client.services.delete_version_set(id, "release")
    with refused(errors.BadRequestError, 400, "agent_version_not_found"):
        upsert(client, id, "preview", version_set(4, None, {}))
    with refused(errors.BadRequestError, 400, "llm_deprecated"):
        upsert(client, id, "preview", version_set(1, None, {"a": {"llm_name": "openai_gpt-5.2-2025-12-11"}}))
    with refused(errors.ValidationError, 422, "validation_failed"):
        client.services.get_services(GetServicesParametersQuery(sort_by=["name"]))
    with refused(errors.ValidationError, 422, "validation_failed"):
        client.services.get_services(GetServicesParametersQuery(continuation_token=10**6))
    assert only(client, id).version_sets["preview"].agent_version_number == 3


def strangers(ids: dict) -> None:
    with AmigoClient(user_id="bob") as reader:
        assert len(walk(reader)) == COUNT
        with refused(errors.ForbiddenError, 403, "permission_denied"):
            reader.services.update_service(ids[name(5)], ServiceUpdateServiceRequest(description="No"))
    for wrong in ({"api_key": "0" * 64}, {"user_id": "mallory"}, {"api_key_id": "unknown"}):
        with AmigoClient(**wrong) as stranger:
            try:
                stranger.services.get_services()
            except errors.AuthenticationError:
                continue
        raise AssertionError(f"{wrong} signed in")


def leave(client: AmigoClient, path: str) -> None:
    services = [service.model_dump(mode="json") for service in walk(client, sort_by=["+name"])]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(services, file)


def tagged(kind: type, tags: dict, **body):
    """A request with tags: its generated model cannot hash the keys it makes of them, so that none pass its constructor."""
    request = kind(tags={}, **body)
    request.tags = tags
    return request


def name(number: int) -> str:
    return f"Service {number:02}"


def version_set(agent: int | None, state_machine: int | None, preferences: dict) -> dict:
    return {
        "agent_version_number": agent,
        "service_hierarchical_state_machine_version_number": state_machine,
        "llm_model_preferences": preferences,
    }


def upsert(client: AmigoClient, id: str, set_name: str, content: dict) -> None:
    client.services.upsert_version_set(id, set_name, ServiceUpsertServiceVersionSetRequest(version_set=content))


def only(client: AmigoClient, id: str):
    [service] = client.services.get_services(GetServicesParametersQuery(id=[id])).services
    return service


def walk(client: AmigoClient, **query) -> list:
    """All pages of a listing."""
    services, token = [], 0
    while token is not None:
        page = client.services.get_services(GetServicesParametersQuery(continuation_token=token, **query))
        services += page.services
        assert len(page.services) <= query.get("limit", 10)
        assert page.has_more == (page.continuation_token is not None)
        assert (page.filter_values is not None) == (token == 0)
        token = page.continuation_token
    assert len({service.id for service in services}) == len(services)
    return services


@contextmanager
def refused(kind: type, status: int, code: str):
    try:
        yield
    except kind as error:
        assert (error.status_code, error.error_code) == (status, code), error
    else:
        raise AssertionError(f"not refused: {code}")


if __name__ == "__main__":
    main()
