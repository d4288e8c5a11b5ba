//! The real PgBouncer before a server.

use sqlx::{Connection, Executor, PgConnection};
use test_postgres::{Database, PgBouncer};

#[tokio::test]
async fn transactions_of_two_sessions_share_a_connection_of_the_server() {
    let database = Database::empty().await;
    let bouncer = PgBouncer::start(database.url()).unwrap();
    // What is prepared on the server belongs to one of its connections: plain text is all that goes through.
    let mut one = PgConnection::connect(bouncer.url()).await.unwrap();
    let mut two = PgConnection::connect(bouncer.url()).await.unwrap();
    one.execute("SET application_name = 'x'; CREATE TABLE pid AS SELECT pg_backend_pid() AS one")
        .await
        .unwrap();
    two.execute("ALTER TABLE pid ADD two int; UPDATE pid SET two = pg_backend_pid()").await.unwrap();
    let mut direct = PgConnection::connect(database.url()).await.unwrap();
    let same: bool = sqlx::query_scalar("SELECT one = two FROM pid").fetch_one(&mut direct).await.unwrap();
    assert!(same);
}

#[tokio::test]
async fn it_wants_the_password_of_the_server() {
    let database = Database::empty().await;
    let bouncer = PgBouncer::start(database.url()).unwrap();
    let (scheme, rest) = bouncer.url().split_once("://").unwrap();
    let (credentials, rest) = rest.split_once('@').unwrap();
    // A server that is given may need none.
    if let Some((user, _)) = credentials.split_once(':') {
        assert!(PgConnection::connect(&format!("{scheme}://{user}:wrong@{rest}")).await.is_err());
    }
}

#[tokio::test]
async fn it_ends_with_its_value() {
    let database = Database::empty().await;
    let bouncer = PgBouncer::start(database.url()).unwrap();
    let url = bouncer.url().to_owned();
    assert!(PgConnection::connect(&url).await.is_ok());
    drop(bouncer);
    assert!(PgConnection::connect(&url).await.is_err());
}
