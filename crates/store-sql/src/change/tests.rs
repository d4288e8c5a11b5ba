//! Which writes may be written at once, and what they come to.

use serde_json::json;

use super::*;

fn service(revision: u32, id: u32, name: &str, is_active: bool, team: &str) -> Arc<Service> {
    let service: Service = serde_json::from_value(json!({
        "id": format!("{id:024x}"), "organization": "acme", "name": name, "description": "what it does",
        "is_active": is_active, "agent_id": format!("{:024x}", 1), "state_machine_id": format!("{:024x}", 2),
        "tags": {"team": team}, "keyterms": [], "version_sets": {"edge": {}, "release": {}},
        "creator": {"organization": "acme", "user": "alice"},
        "updated_by": {"organization": "acme", "user": "alice"},
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": format!("2026-01-01T00:00:{revision:02}Z"), "revision": revision
    }))
    .unwrap();
    Arc::new(service)
}

fn replayed(rows: &[Arc<Service>]) -> Result<Vec<Change>, ImportRefusal> {
    replay(rows.to_vec(), &mut HashMap::new(), &mut HashMap::new())
}

fn lengths(rows: &[Arc<Service>]) -> Vec<usize> {
    runs(replayed(rows).unwrap()).iter().map(Vec::len).collect()
}

#[test]
fn writes_of_different_services_are_one_run() {
    let rows =
        [service(1, 1, "a", true, "red"), service(2, 2, "b", true, "red"), service(3, 3, "a", false, "red")];
    assert_eq!(lengths(&rows), [3]);
    assert_eq!(lengths(&[]), [0; 0]);
}

#[test]
fn a_service_is_written_once_in_a_run() {
    let rows =
        [service(1, 1, "a", true, "red"), service(2, 2, "b", true, "red"), service(3, 1, "a", true, "blue")];
    assert_eq!(lengths(&rows), [2, 1]);
}

#[test]
fn a_name_that_is_freed_is_taken_in_a_later_run() {
    let rows = [
        service(1, 1, "a", true, "red"),
        service(2, 2, "b", true, "red"),
        // The two swap their names, by way of a third.
        service(3, 1, "c", true, "red"),
        service(4, 2, "a", true, "red"),
        service(5, 1, "b", true, "red"),
    ];
    assert_eq!(lengths(&rows), [2, 1, 1, 1]);
    let swapped = replayed(&rows).unwrap();
    let held: Vec<_> =
        swapped.iter().map(|change| (change.freed().is_some(), change.taken().is_some())).collect();
    assert_eq!(held, [(false, true), (false, true), (true, true), (true, true), (true, true)]);
    // A service that moves and takes nothing that was freed is no reason for another run.
    let deactivated = [
        service(1, 1, "a", true, "red"),
        service(2, 2, "b", true, "red"),
        service(3, 1, "a", false, "red"),
        service(4, 2, "c", true, "red"),
    ];
    assert_eq!(lengths(&deactivated), [2, 2]);
}

#[test]
fn a_name_that_is_held_is_not_taken() {
    let (first, second) = (service(1, 1, "a", true, "red"), service(2, 2, "a", true, "red"));
    assert_eq!(replayed(&[first.clone(), second.clone()]), Err(name_taken(&second)));
    let mut holders = HashMap::from([(first.name.clone(), first.id)]);
    let mut services = HashMap::from([(first.id, Arc::clone(&first))]);
    let refused = replay(vec![second.clone()], &mut services.clone(), &mut holders.clone());
    assert_eq!(refused, Err(name_taken(&second)));
    // Once its holder has another, it is free.
    let renamed = service(2, 1, "b", true, "red");
    let second = service(3, 2, "a", true, "red");
    assert_eq!(replay(vec![renamed, second], &mut services, &mut holders).unwrap().len(), 2);
    assert_eq!(holders.len(), 2);
}

#[test]
fn a_row_that_may_not_follow_is_refused() {
    let rows = [service(3, 1, "a", true, "red"), service(2, 1, "a", true, "red")];
    assert!(matches!(replayed(&rows), Err(ImportRefusal::Invariant { .. })));
}

#[test]
fn counts_are_summed_over_a_run() {
    let team = |value: &str| TagFacet { key: "team".parse().unwrap(), value: Some(value.parse().unwrap()) };
    let created = [service(1, 1, "a", true, "red"), service(2, 2, "b", true, "red")];
    assert_eq!(facets(&replayed(&created).unwrap()), [(team("red"), 2)].into());

    let changed: Vec<Change> = [service(3, 1, "a", true, "blue"), service(4, 2, "c", true, "red")]
        .into_iter()
        .zip(created)
        .map(|(after, before)| Change { before: Some(before), after })
        .collect();
    assert_eq!(facets(&changed), [(team("red"), -1), (team("blue"), 1)].into());
    // One service leaves what another takes up.
    let swapped = [service(5, 1, "a", true, "red"), service(6, 2, "c", true, "blue")];
    let swapped: Vec<Change> = swapped
        .into_iter()
        .zip(changed)
        .map(|(after, change)| Change { before: Some(change.after), after })
        .collect();
    assert_eq!(facets(&swapped), [].into());
}
