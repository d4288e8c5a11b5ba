//! Ids, tokens, headers and names of clusters that are forged, guessed or another's: no row, count or tag of another organization comes of
//! them, nor a service that one may not see.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{KINDS, Kind, World, read, service, token};

/// What an answer must not have in it, unless it is for the organization that has it.
const MARKS: [&str; 4] = ["kept by rival", "Ours alone", "Plans of rival", "owner:rival"];

async fn cannot_reach(kind: Kind) {
    let world = World::new(kind).await;
    let before = world.everything_of("rival").await;
    let theirs = world.services("rival").await;
    let theirs: Vec<&str> = theirs["services"]
        .as_array()
        .expect("services")
        .iter()
        .map(|service| service["id"].as_str().expect("an id"))
        .collect();
    let free_of_theirs = |answer: &Value| {
        let shown = answer.to_string();
        assert!(MARKS.iter().all(|mark| !shown.contains(mark)), "{shown}");
        assert!(theirs.iter().all(|id| !shown.contains(id)), "{shown}");
    };

    // Their ids, in every place an id can stand.
    let ids = theirs.join("&id=");
    for query in [
        format!("?id={ids}"),
        "?tags=owner:rival".into(),
        "?tags=owner:*&limit=20".into(),
        "?limit=20".into(),
    ] {
        let (status, page) = world.as_user("acme", "alice", Method::GET, &query, None).await;
        assert_eq!(status, 200, "{page}");
        free_of_theirs(&page);
        let facets = page["filter_values"]["tags"].as_array().expect("facets").clone();
        assert_eq!(facets, ["owner:acme", "team:care", "team:ops"].map(|tag| json!(tag)), "{query}");
    }
    for id in &theirs {
        let set = json!({"version_set": {}});
        let attempts = [
            (Method::POST, format!("{id}/"), Some(json!({"name": "Taken over", "is_active": true}))),
            (Method::PUT, format!("{id}/version_sets/preview/"), Some(set)),
            (Method::DELETE, format!("{id}/version_sets/preview/"), None),
        ];
        for (method, path, body) in attempts {
            let (status, answer) = world.as_user("acme", "alice", method, &path, body.as_ref()).await;
            assert_eq!(
                (status.as_u16(), &answer["error_code"]),
                (404, &json!("service_not_found")),
                "{path}"
            );
        }
    }

    // `gina` of `acme` is a guest of `rival`, and sees one service there, wherever its walk begins.
    let gina = token("acme", "gina");
    let as_guest = async |query: &str| {
        let request = world.request(Method::GET, &format!("/v1/rival/service/{query}"));
        read(request.bearer_auth(&gina).header("x-org-id", "acme").send().await.expect("an answer")).await
    };
    let mut refusals = Vec::new();
    let mut admitted = 0;
    for number in [-1, 1, 2, 3, 4, 5, 6, 7, 99, i64::MAX] {
        let (status, answer) = as_guest(&format!("?continuation_token={number}&sort_by=-name")).await;
        if status == 200 {
            admitted += 1;
            assert_eq!(number, 2, "the token of what one sees, alone");
            assert!(
                answer["services"].as_array().expect("services").is_empty()
                    || answer["services"][0]["name"] == "Open to guests"
            );
        } else {
            assert_eq!(status, 422, "{answer}");
            refusals.push(answer.to_string());
        }
    }
    assert_eq!(admitted, 1);
    refusals.dedup();
    assert_eq!(
        refusals.len(),
        1,
        "hidden, forged and never issued are refused in the same words: {refusals:?}"
    );
    let (status, page) = as_guest("?limit=20").await;
    assert_eq!((status.as_u16(), page["services"].as_array().expect("services").len()), (200, 1), "{page}");
    assert_eq!(page["services"][0]["name"], "Open to guests");
    assert_eq!((&page["has_more"], &page["continuation_token"]), (&json!(false), &Value::Null));

    // `X-ORG-ID` and the path: no combination lets one in who is not known there.
    for user in ["alice", "nora", "carl", "ruth", "nobody"] {
        for (organization, addressed, named) in [
            ("acme", "rival", None),
            ("acme", "rival", Some("rival")),
            ("acme", "rival", Some("acme")),
            ("acme", "acme", Some("rival")),
            ("acme", "rival", Some("Acme")),
            ("acme", "rival", Some("*")),
        ] {
            let request = world.request(Method::GET, &format!("/v1/{addressed}/service/?limit=20"));
            let mut request = request.bearer_auth(token(organization, user));
            if let Some(named) = named {
                request = request.header("x-org-id", named);
            }
            let (status, answer) = read(request.send().await.expect("an answer")).await;
            let expected = if named == Some(organization) { 403 } else { 401 };
            assert_eq!(status, expected, "{user} {addressed} {named:?}: {answer}");
            free_of_theirs(&answer);
        }
    }

    // Another cluster knows nothing of this one, and none can be made up.
    for cluster in ["west", "West", "default", "", "west,west", "../west", "memory:", &world.store] {
        let request = world.request(Method::GET, "/v1/rival/service/?limit=20");
        let request = request.bearer_auth(token("rival", "ruth")).header("x-mongo-cluster-name", cluster);
        let (status, answer) = read(request.send().await.expect("an answer")).await;
        let expected =
            if cluster == "west" { (404, "organization_not_found") } else { (422, "unknown_cluster") };
        assert_eq!((status.as_u16(), &answer["error_code"]), (expected.0, &json!(expected.1)), "{cluster}");
        free_of_theirs(&answer);
    }
    assert_eq!(world.everything_of("rival").await, before);
    world.end();
}

async fn hides_services(kind: Kind) {
    let world = World::new(kind).await;
    let (all, page) =
        (world.services("acme").await, world.as_user("acme", "carl", Method::GET, "?limit=20", None).await);
    assert_eq!(page.0, 200);
    let names = |page: &Value| -> Vec<String> {
        let services = page["services"].as_array().expect("services");
        services.iter().map(|service| service["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!((names(&all).len(), names(&page.1)), (3, vec!["Care line".to_owned()]));
    // What `carl` may not see tells him nothing but that it is there: by its id, by a token, by a filter.
    let hidden = world.id("acme", "Night line").await;
    for query in [format!("?id={hidden}"), "?tags=team:ops".into()] {
        let (status, page) = world.as_user("acme", "carl", Method::GET, &query, None).await;
        assert_eq!((status.as_u16(), &page["services"], &page["has_more"]), (200, &json!([]), &json!(false)));
    }
    let never = world.as_user("acme", "carl", Method::GET, "?continuation_token=999", None).await;
    let of_hidden = world.as_user("acme", "carl", Method::GET, "?continuation_token=2", None).await;
    assert_eq!((never.0.as_u16(), &never.1), (422, &of_hidden.1));
    assert_eq!(of_hidden.0, 422);
    let rename = json!({"name": "Mine"});
    let renamed = world.as_user("acme", "carl", Method::POST, &format!("{hidden}/"), Some(&rename)).await;
    assert_eq!((renamed.0.as_u16(), &renamed.1["error_code"]), (403, &json!("permission_denied")));
    assert!(!renamed.1.to_string().contains("Night"), "{}", renamed.1);
    // Nor can he take what he sees out of his own sight, or make what he could not see.
    let own = world.id("acme", "Care line").await;
    let untag = json!({"tags": {}});
    let untagged = world.as_user("acme", "carl", Method::POST, &format!("{own}/"), Some(&untag)).await;
    assert_eq!(untagged.0, 403, "{}", untagged.1);
    let made = world.as_user("acme", "carl", Method::POST, "", Some(&service("Unseen"))).await;
    assert_eq!(made.0, 403, "{}", made.1);
    // A service that leaves his sight takes its tokens along no further than the position it had.
    let retag = json!({"tags": {"team": "ops"}});
    assert_eq!(world.as_user("acme", "alice", Method::POST, &format!("{own}/"), Some(&retag)).await.0, 200);
    let (status, page) = world.as_user("acme", "carl", Method::GET, "?continuation_token=4", None).await;
    assert_eq!(status, 422, "{page}");
    world.end();
}

#[tokio::test]
async fn another_organization_is_out_of_reach_in_memory() {
    cannot_reach(KINDS[0]).await;
    hides_services(KINDS[0]).await;
}

#[tokio::test]
async fn another_organization_is_out_of_reach_on_sqlite() {
    cannot_reach(KINDS[1]).await;
    hides_services(KINDS[1]).await;
}

#[tokio::test]
async fn another_organization_is_out_of_reach_on_postgresql() {
    cannot_reach(KINDS[2]).await;
    hides_services(KINDS[2]).await;
}
