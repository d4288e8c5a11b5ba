//! The services of the demo: two organizations, sixty services, made through the registry like anybody's.

use std::collections::BTreeMap;
use std::str::FromStr;

use service_core::catalog::OrganizationEntry;
use service_core::{
    AgentId, Caller, CreateService, Keyterm, Keyterms, LlmConfig, LlmParams, LlmPreferences, Registry,
    RegistryError, ServiceId, StateMachineId, TagKey, TagValue, Tags, UpsertVersionSet, ValueError,
    VersionNumber, VersionSet,
};

use crate::failure::Failure;

/// Services that differ in what they are for; each is offered in every variant of its organization.
struct Programme {
    name: &'static str,
    description: &'static str,
    team: &'static str,
    /// Which of the organization's agents, and which of its state machines.
    agent: usize,
    state_machine: usize,
    keyterms: &'static [&'static str],
}

/// What tells the services of one programme apart.
struct Variant {
    suffix: &'static str,
    channel: &'static str,
    language: &'static str,
}

const fn programme(
    name: &'static str,
    team: &'static str,
    (agent, state_machine): (usize, usize),
    keyterms: &'static [&'static str],
    description: &'static str,
) -> Programme {
    Programme { name, description, team, agent, state_machine, keyterms }
}

const fn variant(suffix: &'static str, channel: &'static str, language: &'static str) -> Variant {
    Variant { suffix, channel, language }
}

const HEALTH: [Programme; 12] = [
    programme(
        "Appointment reminders",
        "front desk",
        (1, 1),
        &[],
        "Reminds patients of appointments, and moves them.",
    ),
    programme(
        "Medication refills",
        "care",
        (0, 0),
        &["metformin", "lisinopril"],
        "Takes orders for refills.",
    ),
    programme(
        "Discharge follow-up",
        "care",
        (0, 0),
        &["wound care"],
        "Asks how patients do after they went home.",
    ),
    programme("Insurance questions", "front desk", (1, 1), &["co-pay"], "Says what a plan covers."),
    programme(
        "Lab results",
        "care",
        (0, 0),
        &["a-one-c", "lipid panel"],
        "Explains results a clinician released.",
    ),
    programme("Sleep coaching", "coaching", (2, 2), &[], "Six weeks of better sleep."),
    programme(
        "Diabetes coaching",
        "coaching",
        (2, 2),
        &["glucometer"],
        "Daily routines for people with diabetes.",
    ),
    programme("Prenatal check-in", "care", (0, 0), &["pre-eclampsia"], "Weekly questions during pregnancy."),
    programme("Physical therapy", "coaching", (2, 2), &["rotator cuff"], "Guides through exercises at home."),
    programme(
        "Mental health check-in",
        "care",
        (0, 0),
        &[],
        "Listens, and brings in a person where one is needed.",
    ),
    programme("Nutrition coaching", "coaching", (2, 2), &[], "Meals that fit a diagnosis and a budget."),
    programme("Front desk", "front desk", (1, 1), &[], "Opening hours, directions, and whom to ask."),
];

const HEALTH_VARIANTS: [Variant; 3] = [
    variant("", "voice", "English"),
    variant(" (Spanish)", "voice", "Spanish"),
    variant(" by text", "text", "English"),
];

const LEARNING: [Programme; 8] = [
    programme("Algebra", "mathematics", (0, 0), &["binomial"], "From equations to functions."),
    programme("Geometry", "mathematics", (0, 0), &["hypotenuse"], "Proofs and constructions."),
    programme(
        "Statistics",
        "mathematics",
        (0, 0),
        &["chi-squared"],
        "What numbers say, and what they do not.",
    ),
    programme("Chemistry", "science", (0, 0), &["molarity"], "Reactions, and how to balance them."),
    programme("Physics", "science", (0, 0), &[], "Motion, heat, light."),
    programme(
        "Oral exam",
        "assessment",
        (1, 1),
        &[],
        "Fifteen minutes of questions, with a written verdict.",
    ),
    programme("Essay feedback", "languages", (0, 0), &[], "Reads a draft and asks about it."),
    programme("Conversation", "languages", (0, 0), &[], "Small talk at the learner's level."),
];

const LEARNING_VARIANTS: [Variant; 3] = [
    variant(", English", "web", "English"),
    variant(", Français", "web", "Français"),
    variant(", Deutsch", "web", "Deutsch"),
];

/// The services of an organization, in the order they were made.
pub(super) async fn create(
    registry: &Registry,
    caller: &Caller,
    organization: &OrganizationEntry,
) -> Result<Vec<ServiceId>, Failure> {
    let (programmes, variants): (&[Programme], _) = match organization.id.as_str() {
        "harbor-health" => (&HEALTH, &HEALTH_VARIANTS),
        _ => (&LEARNING, &LEARNING_VARIANTS),
    };
    let mut created = Vec::new();
    for (row, programme) in programmes.iter().enumerate() {
        for (column, variant) in variants.iter().enumerate() {
            let number = row * variants.len() + column;
            created.push(create_one(registry, caller, organization, programme, variant, number).await?);
        }
    }
    Ok(created)
}

async fn create_one(
    registry: &Registry,
    caller: &Caller,
    organization: &OrganizationEntry,
    programme: &Programme,
    variant: &Variant,
    number: usize,
) -> Result<ServiceId, Failure> {
    let (agent_id, state_machine_id) = entries(organization, programme)?;
    let name = format!("{}{}", programme.name, variant.suffix);
    let request = CreateService {
        name: value(&name)?,
        description: value(programme.description)?,
        // The last programme in its last variants is not offered yet, and now and then another is not.
        is_active: number % 7 != 5,
        agent_id,
        state_machine_id,
        tags: tags(programme, variant, number)?,
        keyterms: keyterms(programme)?,
        release: Some(version_set(!number.is_multiple_of(3), None)?),
    };
    let failed =
        |error: RegistryError| Failure::failed(&format!("cannot create the service `{name}`"), &error);
    let service = registry.create(&organization.id, caller, &request).await.map_err(failed)?;
    for (version_set_name, llm, every) in [
        ("preview", "openai_gpt-5.5-2026-04-23", 2),
        ("staging", "google_gemini-3.5-flash", 3),
        ("experiment-fast", "openai_gpt-5.4-nano-2026-03-17", 10),
    ] {
        if number.is_multiple_of(every) {
            let request = UpsertVersionSet {
                name: value(version_set_name)?,
                version_set: version_set(true, Some(llm))?,
            };
            registry
                .upsert_version_set(&organization.id, caller, service.id, &request)
                .await
                .map_err(failed)?;
        }
    }
    Ok(service.id)
}

fn entries(
    organization: &OrganizationEntry,
    programme: &Programme,
) -> Result<(AgentId, StateMachineId), Failure> {
    let agent = organization.agents.get(programme.agent);
    let state_machine = organization.state_machines.get(programme.state_machine);
    match (agent, state_machine) {
        (Some(agent), Some(state_machine)) => Ok((agent.id, state_machine.id)),
        _ => Err(Failure::Failed(format!("the demo's catalog has nothing for `{}`", programme.name))),
    }
}

fn tags(programme: &Programme, variant: &Variant, number: usize) -> Result<Tags, Failure> {
    let mut tags: Vec<(TagKey, Option<TagValue>)> = vec![
        (value("team")?, Some(value(programme.team)?)),
        (value("channel")?, Some(value(variant.channel)?)),
        (value("language")?, Some(value(variant.language)?)),
    ];
    if number.is_multiple_of(4) {
        tags.push((value("pilot")?, None));
    }
    if !number.is_multiple_of(3) {
        let region = if number.is_multiple_of(2) { "north" } else { "south" };
        tags.push((value("region")?, Some(value(region)?)));
    }
    Tags::new(tags).map_err(wrong)
}

fn keyterms(programme: &Programme) -> Result<Keyterms, Failure> {
    let keyterms: Result<Vec<Keyterm>, Failure> = programme.keyterms.iter().map(|term| value(term)).collect();
    Keyterms::new(keyterms?).map_err(wrong)
}

/// A version set that pins the first versions or follows the latest, and prefers an LLM or none.
fn version_set(pinned: bool, llm: Option<&str>) -> Result<VersionSet, Failure> {
    let first = if pinned { Some(VersionNumber::new(1).map_err(wrong)?) } else { None };
    let mut preferences = BTreeMap::new();
    if let Some(llm) = llm {
        let params = serde_json::Map::from_iter([("temperature".to_owned(), serde_json::json!(0.4))]);
        let config = LlmConfig { llm_name: value(llm)?, params: LlmParams::new(params).map_err(wrong)? };
        preferences.insert(value("respond")?, config);
    }
    Ok(VersionSet {
        agent_version_number: first,
        state_machine_version_number: first,
        llm_model_preferences: LlmPreferences::new(preferences).map_err(wrong)?,
    })
}

fn value<T: FromStr<Err = ValueError>>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(wrong)
}

fn wrong(error: ValueError) -> Failure {
    Failure::failed("the demo's data are wrong", &error)
}
