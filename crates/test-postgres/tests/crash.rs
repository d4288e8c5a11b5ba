//! A private server that crashes, and comes back with what it had.

use sqlx::{Connection as _, PgConnection};
use test_postgres::{Cluster, Crash, Durability};

#[tokio::test]
async fn a_server_that_has_crashed_comes_back_with_what_was_committed() {
    let mut cluster = Cluster::start(Durability::Kept).unwrap();
    let directory = cluster.directory().to_owned();
    let url = cluster.url().to_owned();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE crashes (number integer)").execute(&mut connection).await.unwrap();
    for (how, number) in [(Crash::Immediate, 1), (Crash::Killed, 2)] {
        sqlx::query("INSERT INTO crashes VALUES ($1)").bind(number).execute(&mut connection).await.unwrap();
        cluster.crash(how).unwrap();
        assert!(PgConnection::connect(&url).await.is_err());
        cluster.restart().unwrap();
        connection = PgConnection::connect(&url).await.unwrap();
        let count: i64 =
            sqlx::query_scalar("SELECT count(*) FROM crashes").fetch_one(&mut connection).await.unwrap();
        assert_eq!(count, i64::from(number));
    }
    cluster.crash(Crash::Immediate).unwrap();
    assert!(directory.exists());
    drop(cluster);
    assert!(!directory.exists(), "the files of a server that has crashed go too");
}
