//! Bodies of requests.

use serde_json::Value;
use service_core::{
    CreateService, Keyterm, Keyterms, LlmPreferences, MAX_KEYTERMS, MAX_LLM_PREFERENCES, MAX_TAGS, TagKey,
    TagValue, Tags, UpdateService, VersionNumber, VersionSet,
};

use super::json::parse;
use super::llm_config::read_llm_config;
use super::read::{Fields, Read, boolean, entries, integer, items, text, well_formed};
use crate::invalid::{Faults, Invalid, Loc, kind};

/// Reads the body of a create.
///
/// # Errors
/// Every field at fault.
pub(crate) fn decode_create(body: &[u8]) -> Result<CreateService, Invalid> {
    decode(body, |fields, faults| {
        let name = fields.required("name", faults, text);
        let description = fields.required("description", faults, text);
        let is_active = fields.required("is_active", faults, boolean);
        let agent_id = fields.required("agent_id", faults, text);
        let state_machine_id = fields.required("service_hierarchical_state_machine_id", faults, text);
        let tags = fields.required("tags", faults, read_tags);
        let keyterms = fields.optional("keyterms", faults, read_keyterms);
        let release = fields.optional("release_version_set", faults, read_version_set);
        Ok(CreateService {
            name: name?,
            description: description?,
            is_active: is_active?,
            agent_id: agent_id?,
            state_machine_id: state_machine_id?,
            tags: tags?,
            keyterms: keyterms?.unwrap_or_default(),
            release: release?,
        })
    })
}

/// Reads the body of an update.
///
/// # Errors
/// Every field at fault.
pub(crate) fn decode_update(body: &[u8]) -> Result<UpdateService, Invalid> {
    decode(body, |fields, faults| {
        let name = fields.optional("name", faults, text);
        let description = fields.optional("description", faults, text);
        let is_active = fields.optional("is_active", faults, boolean);
        let agent_id = fields.optional("agent_id", faults, text);
        let state_machine_id = fields.optional("service_hierarchical_state_machine_id", faults, text);
        let tags = fields.optional("tags", faults, read_tags);
        let keyterms = fields.optional("keyterms", faults, read_keyterms);
        Ok(UpdateService {
            name: name?,
            description: description?,
            is_active: is_active?,
            agent_id: agent_id?,
            state_machine_id: state_machine_id?,
            tags: tags?,
            keyterms: keyterms?,
        })
    })
}

/// Reads the body of an upsert of a version set.
///
/// # Errors
/// Every field at fault.
pub(crate) fn decode_upsert(body: &[u8]) -> Result<VersionSet, Invalid> {
    decode(body, |fields, faults| fields.required("version_set", faults, read_version_set))
}

fn decode<T>(body: &[u8], read: impl FnOnce(Fields<'_>, &mut Faults) -> Read<T>) -> Result<T, Invalid> {
    let mut faults = Faults::default();
    let loc = Loc::root("body");
    let outcome = parse(body, &loc, &mut faults).and_then(|value| {
        let fields = Fields::of(&value, &loc, &mut faults)?;
        read(fields, &mut faults)
    });
    faults.finish(outcome)
}

fn read_tags(value: &Value, loc: &Loc<'_>, faults: &mut Faults) -> Read<Tags> {
    let mut tags = Vec::new();
    let mut last = Ok(());
    for (written, value) in entries(value, MAX_TAGS, loc, faults)? {
        let loc = loc.name(written);
        let key: Read<TagKey> = well_formed(written.parse(), &loc, faults);
        let value: Read<Option<TagValue>> = match value {
            Value::Null => Ok(None),
            value => text(value, &loc, faults).map(Some),
        };
        match (key, value) {
            (Ok(key), _) if tags.iter().any(|(other, _)| *other == key) => {
                let msg = "must not be the same as another key after stripping";
                last = Err(faults.note(&loc, msg, kind::DUPLICATE_KEY));
            }
            (Ok(key), Ok(value)) => tags.push((key, value)),
            (Err(noted), _) | (_, Err(noted)) => last = Err(noted),
        }
    }
    last?;
    well_formed(Tags::new(tags), loc, faults)
}

fn read_keyterms(value: &Value, loc: &Loc<'_>, faults: &mut Faults) -> Read<Keyterms> {
    let items = items(value, MAX_KEYTERMS, loc, faults)?;
    let keyterms: Vec<Read<Keyterm>> =
        items.iter().enumerate().map(|(index, item)| text(item, &loc.index(index), faults)).collect();
    well_formed(Keyterms::new(keyterms.into_iter().collect::<Read<_>>()?), loc, faults)
}

fn read_version_set(value: &Value, loc: &Loc<'_>, faults: &mut Faults) -> Read<VersionSet> {
    let fields = Fields::of(value, loc, faults)?;
    let agent = fields.optional("agent_version_number", faults, read_version_number);
    let state_machine =
        fields.optional("service_hierarchical_state_machine_version_number", faults, read_version_number);
    let preferences = fields.optional("llm_model_preferences", faults, read_preferences);
    Ok(VersionSet {
        agent_version_number: agent?,
        state_machine_version_number: state_machine?,
        llm_model_preferences: preferences?.unwrap_or_default(),
    })
}

fn read_version_number(value: &Value, loc: &Loc<'_>, faults: &mut Faults) -> Read<VersionNumber> {
    let number = integer(value, loc, faults)?;
    // What does not fit is out of range on either side; zero is, too.
    well_formed(VersionNumber::new(number.as_i64().unwrap_or(0)), loc, faults)
}

fn read_preferences(value: &Value, loc: &Loc<'_>, faults: &mut Faults) -> Read<LlmPreferences> {
    let entries = entries(value, MAX_LLM_PREFERENCES, loc, faults)?;
    let preferences: Vec<_> = entries
        .iter()
        .map(|(interaction, config)| {
            let loc = loc.name(interaction);
            let interaction = well_formed(interaction.parse(), &loc, faults);
            let config = read_llm_config(config, &loc, faults);
            Ok((interaction?, config?))
        })
        .collect();
    well_formed(LlmPreferences::new(preferences.into_iter().collect::<Read<_>>()?), loc, faults)
}
