//! Who may do what.

use async_trait::async_trait;
use service_core::{
    Access, ApiKeyHash, ApiKeyId, OrganizationId, Principal, Standing, StoreError, Timestamp,
};
use store_sql::row::{self, StandingRow};

use crate::error::store_error;
use crate::store::SqliteStore;
use crate::transaction::Transaction;

#[async_trait]
impl Access for SqliteStore {
    async fn standing(
        &self,
        organization: &OrganizationId,
        principal: &Principal,
    ) -> Result<Standing, StoreError> {
        // One statement is one snapshot.
        let rows: Vec<StandingRow> = sqlx::query_as(
            "SELECT u.roles, r.name, r.grants
             FROM organizations AS o
             LEFT JOIN users AS u ON u.organization = o.organization AND u.user_organization = ?2 AND u.user_id = ?3
             LEFT JOIN json_each(CASE WHEN json_valid(u.roles) THEN u.roles END) AS role
             LEFT JOIN roles AS r ON r.organization = o.organization AND r.name = role.value
             WHERE o.organization = ?1
             ORDER BY r.name",
        )
        .bind(organization.as_str())
        .bind(principal.organization.as_str())
        .bind(principal.user.as_str())
        .fetch_all(&self.reader)
        .await
        .map_err(store_error)?;
        row::standing(organization, principal, &rows)
    }

    async fn verify_api_key(
        &self,
        organization: &OrganizationId,
        id: &ApiKeyId,
        key: &str,
    ) -> Result<bool, StoreError> {
        let hash: Option<Vec<u8>> =
            sqlx::query_scalar("SELECT hash FROM api_keys WHERE organization = ?1 AND id = ?2")
                .bind(organization.as_str())
                .bind(id.as_str())
                .fetch_optional(&self.reader)
                .await
                .map_err(store_error)?;
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
        let mut transaction = Transaction::write(&self.writer).await?;
        let added = sqlx::query(
            "INSERT INTO api_keys (organization, id, hash, created_at)
             SELECT organization, ?2, ?3, ?4 FROM organizations WHERE organization = ?1
             ON CONFLICT (organization, id) DO NOTHING",
        )
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
}
