//! The checks run in one order: a request with two flaws is answered for the earlier one.

use axum::http::Method;
use serde_json::json;

use super::support::*;

/// What can be wrong with an upsert of a version set, in the order in which it is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    Maintenance,
    NoToken,
    UnknownCluster,
    ClusterMaintenance,
    UnknownOrganization,
    IllFormedOrganization,
    TooMany,
    IllFormedPath,
    IllFormedBody,
    LargeBody,
    NoGrant,
    UnknownService,
    OtherGrant,
    Reserved,
}

use Flaw::*;

const ALL: [Flaw; 14] = [
    Maintenance,
    NoToken,
    UnknownCluster,
    ClusterMaintenance,
    UnknownOrganization,
    IllFormedOrganization,
    TooMany,
    IllFormedPath,
    IllFormedBody,
    LargeBody,
    NoGrant,
    UnknownService,
    OtherGrant,
    Reserved,
];

impl Flaw {
    fn answer(self) -> (u16, &'static str) {
        match self {
            Maintenance | ClusterMaintenance => (503, "maintenance"),
            NoToken => (401, "unauthenticated"),
            UnknownCluster => (422, "unknown_cluster"),
            UnknownOrganization | IllFormedOrganization => (404, "organization_not_found"),
            TooMany => (429, "rate_limited"),
            IllFormedPath | IllFormedBody => (422, "validation_failed"),
            LargeBody => (413, "payload_too_large"),
            NoGrant | OtherGrant => (403, "permission_denied"),
            UnknownService => (404, "service_not_found"),
            Reserved => (400, "reserved_version_set"),
        }
    }

    /// Flaws of one part of a request, which can have only one of them; and 422 and 413, which stand on one level.
    fn excludes(self, other: Self) -> bool {
        let groups: [&[Self]; 5] = [
            &[UnknownCluster, ClusterMaintenance],
            &[UnknownOrganization, IllFormedOrganization],
            &[IllFormedPath, IllFormedBody, LargeBody],
            &[IllFormedPath, UnknownService],
            &[NoGrant, OtherGrant],
        ];
        groups.iter().any(|group| group.contains(&self) && group.contains(&other))
    }
}

async fn answer(flaws: &[Flaw]) -> (u16, String) {
    let world = World::new().await;
    let has = |flaw| flaws.contains(&flaw);
    let service = world.service("only a").await;
    let organization = if has(UnknownOrganization) {
        "nowhere"
    } else if has(IllFormedOrganization) {
        "no%20where"
    } else {
        "acme"
    };
    let service = if has(IllFormedPath) {
        "no-id"
    } else if has(UnknownService) {
        NO_SERVICE
    } else {
        &service
    };
    let user = if has(NoGrant) {
        "rita"
    } else if has(OtherGrant) {
        "ben"
    } else {
        "alice"
    };
    let token = world.token("acme", user);
    if has(TooMany) {
        for _ in 0..30 {
            let path = format!("/v1/acme/service/{NO_SERVICE}/version_sets/x/");
            let call = world.put(&path, &json!({})).bearer(&token);
            let call =
                if has(ClusterMaintenance) { call.header("x-mongo-cluster-name", "west") } else { call };
            assert_eq!(call.send().await.status, 422);
        }
    }
    if has(Maintenance) {
        world.maintenance(&world.store, true).await;
    }
    if has(ClusterMaintenance) {
        world.maintenance(&world.west, true).await;
    }
    let name = if has(Reserved) { "edge" } else { "preview" };
    let path = format!("/v1/{organization}/service/{service}/version_sets/{name}/");
    let body = if has(IllFormedBody) {
        "{".to_owned()
    } else if has(LargeBody) {
        " ".repeat(2 * 1024 * 1024)
    } else {
        json!({"version_set": {}}).to_string()
    };
    let mut call = world.request(Method::PUT, &path).bearer(&token).header("x-org-id", "acme").body(body);
    if has(NoToken) {
        call = call.without("authorization");
    }
    if has(UnknownCluster) {
        call = call.header("x-mongo-cluster-name", "nowhere");
    }
    if has(ClusterMaintenance) {
        call = call.header("x-mongo-cluster-name", "west");
    }
    let before = world.writes().await;
    let answer = call.send().await;
    if flaws.is_empty() {
        assert_eq!(answer.status, 204);
        assert_eq!(world.writes().await, before + 1);
        return (204, String::new());
    }
    assert_eq!(world.writes().await, before, "a refused request changed something");
    answer.problem()
}

#[tokio::test]
async fn a_request_without_a_flaw_is_done() {
    assert_eq!(answer(&[]).await.0, 204);
}

#[tokio::test]
async fn of_two_flaws_the_earlier_one_is_answered() {
    for (index, &first) in ALL.iter().enumerate() {
        let (status, code) = first.answer();
        assert_eq!(answer(&[first]).await, (status, code.to_owned()), "{first:?}");
        for &second in ALL.iter().skip(index + 1).filter(|second| !first.excludes(**second)) {
            assert_eq!(answer(&[first, second]).await, (status, code.to_owned()), "{first:?}, {second:?}");
        }
    }
}
