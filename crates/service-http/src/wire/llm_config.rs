//! The two spellings of an LLM's parameters: under `params`, and inline beside `llm_name`.
//!
//! Clients of today write and read `params`, any object. Older ones know three parameters only, inline, and reject a page that
//! lacks one. Both are read and both are written:
//!
//! * **Reading.** Where `params` is given it alone counts. An inline value beside it has nothing to add and must not contradict:
//!   it equals the one in `params`, or is 1 if `params` has none, for that is what we answer with. Without `params` the inline
//!   values given are the parameters.
//! * **Writing.** `params` is exactly what was set. Inline are all three, 1 where not set.
//!
//! So sending back a whole answer changes nothing. An older client that reads an answer drops `params`, which it does not know;
//! if it sends the rest back, what was not set is set to 1 from then on, and parameters other than the three are lost. An inline 1
//! that was never set looks like one that was, so no server can prevent it; clients that write should know `params`.

use serde::Serialize;
use serde_json::{Map, Number, Value};
use service_core::{LlmConfig, LlmParams, json_equal};
use utoipa::ToSchema;

use super::read::{Fields, Read, integer, is_integer, number, object, text, well_formed};
use crate::invalid::{Faults, Loc, kind};

/// What an inline parameter must be, as far as JSON types go; its range is a rule of the core.
#[derive(Clone, Copy)]
enum InlineType {
    Number,
    Integer,
}

const TOP_P: (&str, InlineType) = ("top_p", InlineType::Number);
const TEMPERATURE: (&str, InlineType) = ("temperature", InlineType::Number);
const TOP_K: (&str, InlineType) = ("top_k", InlineType::Integer);

/// Reads an LLM configuration in either spelling.
pub(super) fn read_llm_config(value: &Value, loc: &Loc<'_>, faults: &mut Faults) -> Read<LlmConfig> {
    let fields = Fields::of(value, loc, faults)?;
    let llm_name = fields.required("llm_name", faults, text);
    let params = fields.optional("params", faults, object);
    let inline = [TOP_P, TEMPERATURE, TOP_K].map(|(name, inline_type)| {
        let given = match inline_type {
            InlineType::Number => fields.optional(name, faults, number),
            InlineType::Integer => fields.optional(name, faults, integer),
        };
        given.map(|given| given.map(|number| (name, Value::Number(number.clone()))))
    });
    let params = params.and_then(|params| match params {
        Some(params) => {
            for (name, value) in inline.iter().flatten().flatten() {
                note_contradiction(params, name, value, loc, faults);
            }
            well_formed(LlmParams::new(params.clone()), &loc.name("params"), faults)
        }
        None => {
            let given = inline.into_iter().collect::<Read<Vec<_>>>()?.into_iter().flatten();
            let params = given.map(|(name, value)| (name.to_owned(), value)).collect();
            well_formed(LlmParams::new(params), loc, faults)
        }
    });
    Ok(LlmConfig { llm_name: llm_name?, params: params? })
}

fn note_contradiction(
    params: &Map<String, Value>,
    name: &str,
    inline: &Value,
    loc: &Loc<'_>,
    faults: &mut Faults,
) {
    let (equal, msg) = match params.get(name) {
        Some(value) => (json_equal(inline, value), "must equal the value in `params`, or be absent"),
        None => (json_equal(inline, &1.into()), "must be 1, or absent, where `params` has none"),
    };
    if !equal {
        faults.note(&loc.name(name), msg, kind::CONFLICT);
    }
}

/// The LLM to prefer for an interaction, in both spellings.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LlmConfig)]
pub(crate) struct LlmConfigView<'a> {
    /// The LLM.
    llm_name: &'a str,
    /// The parameters that were set, and no others.
    #[schema(value_type = Object)]
    params: &'a LlmParams,
    /// `params.top_p`, or 1 where it was not set.
    #[schema(value_type = f64)]
    top_p: Number,
    /// `params.temperature`, or 1 where it was not set.
    #[schema(value_type = f64)]
    temperature: Number,
    /// `params.top_k`, or 1 where it was not set.
    #[schema(value_type = u64)]
    top_k: Number,
}

impl<'a> From<&'a LlmConfig> for LlmConfigView<'a> {
    fn from(config: &'a LlmConfig) -> Self {
        let params = &config.params;
        Self {
            llm_name: config.llm_name.as_str(),
            params,
            top_p: shown(params, TOP_P),
            temperature: shown(params, TEMPERATURE),
            top_k: shown(params, TOP_K),
        }
    }
}

/// What is shown inline for a parameter. The rules store none of another type; if ever one was there, 1 would still let an
/// older client read the page.
fn shown(params: &LlmParams, (name, inline_type): (&str, InlineType)) -> Number {
    let fits = |number: &&Number| match inline_type {
        InlineType::Number => true,
        InlineType::Integer => is_integer(number),
    };
    params.get(name).and_then(Value::as_number).filter(fits).cloned().unwrap_or_else(|| 1.into())
}
