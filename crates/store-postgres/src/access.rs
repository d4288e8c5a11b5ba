//! Who may do what.

use async_trait::async_trait;
use service_core::{
    Access, ApiKeyHash, ApiKeyId, OrganizationId, Principal, Standing, StoreError, Timestamp,
};
use store_sql::row::{self, StandingRow};

use crate::error::store_error;
use crate::store::PostgresStore;

#[async_trait]
impl Access for PostgresStore {
    async fn standing(
        &self,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError> {
        self.connections.reading(|| standing(self, organization, principal)).await
    }

    async fn verify_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        key: &str,
    ) -> Result<bool, StoreError> {
        let hash = self.connections.reading(|| api_key(self, organization, id)).await?;
        let Some(hash) = hash else { return Ok(false) };
        let hash = hash.try_into().map_err(|_| StoreError::corrupt("an API key", "a hash has 32 bytes"))?;
        Ok(ApiKeyHash::from_bytes(hash).verifies(key))
    }

    async fn add_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        hash: &ApiKeyHash,
        created_at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.connections.repeating(|| add_api_key(self, organization, id, hash, created_at)).await
    }
}

async fn standing(
    store: &PostgresStore,
    organization: &OrganizationId,
    principal: &Principal,
) -> Result<Standing, StoreError> {
    // One statement is one snapshot.
    let mut reader = store.connections.statements().await?;
    let rows: Vec<StandingRow> = sqlx::query_as(
        "SELECT u.roles, r.name, r.grants
         FROM service_registry.organizations AS o
         LEFT JOIN service_registry.users AS u
             ON u.organization = $1 AND u.user_organization = $2 AND u.user_id = $3
         LEFT JOIN LATERAL json_array_elements_text(u.roles::json) AS role (name) ON TRUE
         LEFT JOIN service_registry.roles AS r ON r.organization = $1 AND r.name = role.name
         WHERE o.organization = $1
         ORDER BY r.name",
    )
    .persistent(reader.prepared)
    .bind(organization.as_str())
    .bind(principal.organization.as_str())
    .bind(principal.user.as_str())
    .fetch_all(&mut *reader)
    .await
    .map_err(store_error)?;
    reader.end().await?;
    row::standing(organization, principal, &rows)
}

async fn api_key(
    store: &PostgresStore,
    organization: &OrganizationId,
    id: &ApiKeyId,
) -> Result<Option<Vec<u8>>, StoreError> {
    let mut reader = store.connections.statements().await?;
    let hash =
        sqlx::query_scalar("SELECT hash FROM service_registry.api_keys WHERE organization = $1 AND id = $2")
            .persistent(reader.prepared)
            .bind(organization.as_str())
            .bind(id.as_str())
            .fetch_optional(&mut *reader)
            .await
            .map_err(store_error)?;
    reader.end().await?;
    Ok(hash)
}

async fn add_api_key(
    store: &PostgresStore,
    organization: &OrganizationId,
    id: &ApiKeyId,
    hash: &ApiKeyHash,
    created_at: Timestamp,
) -> Result<bool, StoreError> {
    let mut transaction = store.connections.write().await?;
    let added = sqlx::query(
        "INSERT INTO service_registry.api_keys (organization, id, hash, created_at)
         SELECT organization, $2, $3, $4 FROM service_registry.organizations WHERE organization = $1
         ON CONFLICT (organization, id) DO NOTHING",
    )
    .persistent(transaction.prepared)
    .bind(organization.as_str())
    .bind(id.as_str())
    .bind(hash.as_bytes().as_slice())
    .bind(created_at.as_microseconds())
    .execute(&mut *transaction)
    .await
    .map_err(store_error)?;
    transaction.commit().await?;
    Ok(added.rows_affected() > 0)
}
