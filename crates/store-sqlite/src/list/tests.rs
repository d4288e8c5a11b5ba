use service_core::range::{Range, RangeOrder, RangeStart};
use service_core::{Direction, Operations, Sort, SortField, SortKey};

use super::conditions::{Conditions, Membership, Term, Test};
use super::sql;
use crate::SqliteStore;

fn sorts() -> Vec<Sort> {
    let keys = |texts: &[&str]| Sort::new(texts.iter().map(|text| text.parse().unwrap()).collect()).unwrap();
    let mut sorts = vec![keys(&[])];
    for one in ["+name", "-name", "+is_active", "-is_active"] {
        sorts.push(keys(&[one]));
        for other in ["+name", "-name", "+is_active", "-is_active"] {
            if one[1..] != other[1..] {
                sorts.push(keys(&[one, other]));
            }
        }
    }
    assert_eq!(sorts.len(), 13);
    sorts
}
#[tokio::test]
async fn dump() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("a.db")).await.unwrap();
    store.migrate().await.unwrap();
    let mut c = store.reader.acquire().await.unwrap();
    let name: service_core::ServiceName = "x".parse().unwrap();
    let id = service_core::ServiceId::from_bytes([1; 12]);
    let term = |number| Term { number, services: 3 };
    for (order, starts) in [
        (RangeOrder::Id, vec![RangeStart::First, RangeStart::AfterId(id)]),
        (RangeOrder::Name(Direction::Ascending), vec![RangeStart::After(name.clone(), id)]),
        (RangeOrder::Name(Direction::Descending), vec![RangeStart::After(name.clone(), id)]),
    ] {
        for start in starts {
            for conditions in [
                (None, vec![], vec![]),
                (Some([id].into()), vec![term(1)], vec![]),
                (None, vec![term(1)], vec![]),
                (None, vec![term(1), term(2)], vec![]),
                (
                    None,
                    vec![],
                    vec![
                        vec![
                            Test::Agent(
                                [service_core::AgentId::from_bytes([1; 12])].into(),
                                Membership::Outside,
                            ),
                            Test::Tagged(vec![term(1), term(2)], Membership::Inside),
                        ],
                        vec![Test::Id([id].into(), Membership::Inside)],
                    ],
                ),
            ] {
                let make = |is_active| {
                    (
                        Range { is_active, order, start: start.clone() },
                        Conditions {
                            ids: conditions.0.clone(),
                            terms: conditions.1.clone(),
                            any_of: conditions.2.clone(),
                        },
                    )
                };
                let sort = match order {
                    RangeOrder::Id => Sort::default(),
                    RangeOrder::Name(direction) => {
                        Sort::new(vec![SortKey { field: SortField::Name, direction }]).unwrap()
                    }
                };
                let statement =
                    sql::page(&"acme".parse().unwrap(), &sort, &[make(false), make(true)], 21).unwrap();
                println!("--- {order:?} {start:?} {conditions:?}");
                for (a, b, _, line) in statement.explain(&mut c).await.unwrap() {
                    println!("{a:4} {b:4} {line}");
                }
            }
        }
    }
    let _ = sorts();
}
