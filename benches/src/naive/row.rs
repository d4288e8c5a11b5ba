//! A service as a row of columns.

use serde_json::Value;
use service_core::{Service, Timestamp};

use crate::Error;

/// A row that was read.
#[derive(Debug, sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    organization: String,
    name: String,
    description: String,
    is_active: bool,
    agent_id: String,
    state_machine_id: String,
    tags: String,
    keyterms: String,
    version_sets: String,
    creator: String,
    updated_by: String,
    created_at: i64,
    updated_at: i64,
    revision: i64,
}

impl Row {
    pub(super) fn service(self) -> Result<Service, Error> {
        Ok(Service {
            id: self.id.parse()?,
            organization: self.organization.parse()?,
            name: self.name.parse()?,
            description: self.description.parse()?,
            is_active: self.is_active,
            agent_id: self.agent_id.parse()?,
            state_machine_id: self.state_machine_id.parse()?,
            tags: serde_json::from_str(&self.tags)?,
            keyterms: serde_json::from_str(&self.keyterms)?,
            version_sets: serde_json::from_str(&self.version_sets)?,
            creator: serde_json::from_str(&self.creator)?,
            updated_by: serde_json::from_str(&self.updated_by)?,
            created_at: Timestamp::from_microseconds(self.created_at)?,
            updated_at: Timestamp::from_microseconds(self.updated_at)?,
            revision: self.revision.try_into()?,
        })
    }
}

/// Services as JSON arrays of columns, and their tags as (service, key, value), for statements that take many at once.
pub(super) fn columns(services: &[Service]) -> Result<(String, String), Error> {
    let (mut rows, mut tags) = (Vec::new(), Vec::new());
    for service in services {
        let id = service.id.to_string();
        for (key, value) in service.tags.iter() {
            tags.push(Value::from(vec![Value::from(id.as_str()), key.into(), value.into()]));
        }
        rows.push(Value::from(vec![
            Value::from(id),
            service.organization.as_str().into(),
            service.name.as_str().into(),
            service.description.as_str().into(),
            service.is_active.into(),
            service.agent_id.to_string().into(),
            service.state_machine_id.to_string().into(),
            serde_json::to_string(&service.tags)?.into(),
            serde_json::to_string(&service.keyterms)?.into(),
            serde_json::to_string(&service.version_sets)?.into(),
            serde_json::to_string(&service.creator)?.into(),
            serde_json::to_string(&service.updated_by)?.into(),
            service.created_at.as_microseconds().into(),
            service.updated_at.as_microseconds().into(),
            service.revision.get().into(),
        ]));
    }
    Ok((Value::from(rows).to_string(), Value::from(tags).to_string()))
}
