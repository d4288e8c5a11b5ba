"""amigo-sdk 0.10.0: signs in and lists, in its older spelling, what the current client left behind.

Its models insist on members that newer clients no longer know: each page that parses is a part of the test.
"""

import json
import sys

from amigo_sdk import errors
from amigo_sdk.generated.model import GetServicesParametersQuery
from amigo_sdk.sdk_client import AmigoClient


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as file:
        expected = json.load(file)
    with AmigoClient() as client:
        services = walk(client, sort_by=["+name"], limit=5)
        assert [service.name for service in services] == [service["name"] for service in expected]
        for service, left in zip(services, expected, strict=True):
            same(service, left)
        care = [service["name"] for service in expected if {"key": "team", "value": "care"} in service["tags"]]
        assert 0 < len(care) < len(expected)
        found = walk(client, tag=["team:care"], sort_by=["-name"], limit=3)
        assert [service.name for service in found] == care[::-1]
        assert walk(client, tag=["team:care", "team:sales"]) == []
        one = expected[0]["id"]
        assert [service.id for service in walk(client, id=[one])] == [one]
        try:
            client.service.get_services(GetServicesParametersQuery(tag=["no colon"]))
        except errors.ValidationError as error:
            assert error.status_code == 422
        else:
            raise AssertionError("an ill-formed filter was not refused")


def same(service, left: dict) -> None:
    plain = ("id", "name", "description", "is_active", "agent_id", "service_hierarchical_state_machine_id")
    for member in plain:
        assert getattr(service, member) == left[member], member
    assert [(tag.key, tag.value) for tag in service.tags] == [(tag["key"], tag["value"]) for tag in left["tags"]]
    assert set(service.version_sets) == set(left["version_sets"])
    for set_name, version_set in service.version_sets.items():
        expected = left["version_sets"][set_name]
        assert version_set.agent_version_number == expected["agent_version_number"]
        assert set(version_set.llm_model_preferences) == set(expected["llm_model_preferences"])
        for interaction, config in version_set.llm_model_preferences.items():
            wanted = expected["llm_model_preferences"][interaction]
            assert config.llm_name == wanted["llm_name"]
            # Inline, and 1 where the newer client set nothing.
            for parameter in ("top_p", "temperature", "top_k"):
                assert getattr(config, parameter) == wanted["params"].get(parameter, 1), parameter


def walk(client: AmigoClient, **query) -> list:
    """All pages of a listing."""
    services, token = [], 0
    while token is not None:
        page = client.service.get_services(GetServicesParametersQuery(continuation_token=token, **query))
        services += page.services
        assert page.has_more == (page.continuation_token is not None)
        token = page.continuation_token
    assert len({service.id for service in services}) == len(services)
    return services


if __name__ == "__main__":
    main()
