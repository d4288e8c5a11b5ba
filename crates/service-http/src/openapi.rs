//! The OpenAPI 3.1 document of the HTTP API.
//!
//! It is written by hand, as JSON, and not derived from the handlers: requests are read field by field, so no type has their
//! shape, and a status of ours means several error codes, which the annotations of handlers cannot say. What can be
//! derived is: the schemas of answers come from the types that are serialized, and examples are what the router answered to a test. Tests
//! hold the rest to the code: routes and methods are those of the router, error codes those of its one `match`, patterns those of the
//! core, and no answer in any test of this crate is one that the document does not have.

mod answers;
mod examples;
mod operations;
mod operators;
mod parameters;
mod patterns;
mod schemas;

use serde_json::{Value, json};

/// The document, as it is served at `/openapi.json`.
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Service registry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "tags": [
            {"name": "services", "description": "Services and their version sets"},
            {"name": "users", "description": "Signing in"},
            {"name": "operations", "description": "For whoever runs the server"},
        ],
        "paths": paths(),
        "components": {
            "schemas": schemas::schemas(),
            "headers": answers::headers(),
            "responses": answers::elsewhere(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "A token as signing in gives it.",
                },
                "issuing_organization": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-ORG-ID",
                    "description": "The organization that issued the token, for requests about another organization. Without it \
                                    the token must be of the organization in the path.",
                },
            },
        },
        "security": [{"bearer": []}, {"bearer": [], "issuing_organization": []}],
    })
}

fn paths() -> Value {
    let paths = operations::paths().into_iter().chain(operators::paths());
    Value::Object(paths.map(|(path, operations)| (path.to_owned(), operations)).collect())
}

const DESCRIPTION: &str = "\
Organizations that run AI agents offer services. A service binds an agent to a state machine, has tags, is active or not, and keeps \
named version sets, each of which pins the agent's version, the state machine's version and the LLMs to prefer. `edge` always follows \
the latest versions, `release` is what end users get.

Paths end in a slash and answer without it, too; what takes `GET` takes `HEAD`, which is answered in the same way without a body. \
Another path is answered 404 `not_found`, another method 405 `method_not_allowed`. Unknown query parameters and unknown fields of bodies are ignored; what is known is \
taken strictly, and no value is converted to another type. A request that is not done says why as JSON: `error_code` for a program, \
`detail` for a person. A request that is not well-formed is answered 422 with every field at fault. What cannot be read as one HTTP \
request is answered 400 `malformed_request`, 414 `target_too_long` or 431 `headers_too_large`, and the connection is closed.";

#[cfg(test)]
pub(crate) use answers::ELSEWHERE;
#[cfg(test)]
pub(crate) mod tests;
