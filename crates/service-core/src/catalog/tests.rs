use super::*;

fn refused(json: &str) -> String {
    CatalogDocument::parse(json.as_bytes()).unwrap_err().to_string()
}

const AGENT: &str = "aaaaaaaaaaaaaaaaaaaaaaaa";

#[test]
fn a_whole_document_is_what_it_prints() {
    let json = format!(
        r#"{{"llms": [{{"name": "m", "deprecated": true}}], "organizations": [{{"id": "acme",
            "agents": [{{"id": "{AGENT}", "name": "A", "latest_version": 3, "deprecated": true}}],
            "state_machines": [{{"id": "{AGENT}"}}],
            "simulation_unit_tests": [{{"id": "{AGENT}", "service_id": "{AGENT}", "version_set_name": "release"}}],
            "roles": [{{"name": "r", "grants": [{{"permission_name": "Service:GetService",
                "conditions": {{"tags.env": {{"type": "In", "values": ["prod", null]}}}}}}]}}],
            "users": [{{"id": "u", "roles": ["r"]}}, {{"id": "u", "organization": "partner"}}]}}]}}"#
    );
    let document = CatalogDocument::parse(json.as_bytes()).unwrap();
    let printed = serde_json::to_vec(&document).unwrap();
    assert_eq!(CatalogDocument::parse(&printed).unwrap(), document);
}

#[test]
fn entries_are_objects_and_not_lists_of_their_fields() {
    for json in [
        "[]",
        r#"[[{"name": "m"}], []]"#,
        r#"{"llms": [["m", true]]}"#,
        r#"{"organizations": [["acme"]]}"#,
        &format!(r#"{{"organizations": [{{"id": "acme", "agents": [["{AGENT}", "A", 3, false]]}}]}}"#),
        &format!(
            r#"{{"organizations": [{{"id": "acme", "state_machines": [["{AGENT}", "A", 3, false]]}}]}}"#
        ),
        &format!(
            r#"{{"organizations": [{{"id": "acme", "simulation_unit_tests": [["{AGENT}", "{AGENT}", "edge", false]]}}]}}"#
        ),
        r#"{"organizations": [{"id": "acme", "roles": [["r", []]]}]}"#,
        r#"{"organizations": [{"id": "acme", "roles": [{"name": "r", "grants": [["Service:GetService", {}]]}]}]}"#,
        r#"{"organizations": [{"id": "acme", "roles": [{"name": "r", "grants": [
            {"permission_name": "Service:GetService", "conditions": {"name": ["Equals", "x"]}}]}]}]}"#,
        r#"{"organizations": [{"id": "acme", "users": [["u", null, []]]}]}"#,
    ] {
        let error = refused(json);
        assert!(error.contains("invalid type: sequence, expected an object"), "{json}: {error}");
    }
}

#[test]
fn unknown_keys_keys_twice_and_entries_twice_are_refused() {
    for (json, reason) in [
        (r#"{"llm": []}"#, "unknown field `llm`"),
        (r#"{"llms": [], "llms": []}"#, "duplicate field `llms`"),
        (r#"{"organizations": [{"id": "acme", "name": "Acme"}]}"#, "unknown field `name`"),
        (r#"{"llms": [{"name": "m"}, {"name": "m", "deprecated": true}]}"#, "llm `m` comes twice"),
        (r#"{"organizations": [{"id": "acme"}, {"id": "acme"}]}"#, "organization `acme` comes twice"),
        (
            r#"{"organizations": [{"id": "acme", "users": [{"id": "u"}, {"id": "u", "organization": "acme"}]}]}"#,
            "user `acme/u` comes twice",
        ),
        (
            r#"{"organizations": [{"id": "acme", "roles": [{"name": "r", "grants": [{"permission_name": "Service:GetService",
                "conditions": {"name": {"type": "Equals", "value": "x", "values": []}}}]}]}]}"#,
            "unknown field `values`",
        ),
    ] {
        let error = refused(json);
        assert!(error.contains(reason), "{json}: {error}");
    }
}

#[test]
fn a_role_has_at_most_as_many_grants_as_a_user_can_hold() {
    let decided = |count: usize| {
        let grants = vec![r#"{"permission_name": "Service:GetService"}"#; count].join(",");
        let json = format!(
            r#"{{"organizations": [{{"id": "acme", "roles": [{{"name": "r", "grants": [{grants}]}}]}}]}}"#
        );
        let document = CatalogDocument::parse(json.as_bytes()).unwrap();
        CatalogChanges::decide(&document, &Llms::new(), |_| None, |_, _| None)
    };
    assert!(decided(64).is_ok());
    assert!(matches!(decided(65), Err(CatalogRefusal::TooLargeRole { .. })));
}
