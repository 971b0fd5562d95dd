//! What describes the API: `/openapi.json`.
//!
//! In: what handlers say of themselves, which is what they answer when all is well and what only they
//! refuse. Out: the same, with what any request may meet, and a sentence for each status.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::{Response, Responses};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr};

use super::error::ErrorBody;

/// What the API is called.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "sonoteca",
        description = "Search, listen, label and train: the API of `sonoteca serve`. Times are in \
                       seconds, ids are numbers. Whatever is refused has a body of the schema \
                       `ErrorBody`."
    ),
    components(schemas(ErrorBody))
)]
pub(super) struct Description;

/// Every status of a refusal, and what it means here.
const REFUSALS: [(&str, &str); 19] = [
    ("400", "The request does not read: its path, its query or its body"),
    ("401", "It does not show the token"),
    (
        "403",
        "It comes from another site's page, or the file lies outside of the library's folders now",
    ),
    ("404", "There is no such thing"),
    ("408", "The body took too long to arrive"),
    (
        "409",
        "The library's vectors are of another version than the model that is installed, or none is; or a \
         head has that name already",
    ),
    ("410", "The recording's file is not there any more"),
    ("413", "The body has more bytes, or the sound is longer, than may be"),
    ("415", "The body is of another type"),
    ("416", "The range begins behind the end"),
    ("421", "This server does not go by the name that was asked for"),
    ("422", "What was sent reads, and cannot be used"),
    ("429", "So many jobs wait already: come back when `Retry-After` says"),
    ("500", "This server failed; its log says why"),
    ("503", "More is asked at once than is answered: come back when `Retry-After` says"),
    ("507", "The disk is full"),
    // Not from handlers: of addresses and methods that are not described.
    ("405", "The address does not take that method"),
    ("414", "The address is too long"),
    ("431", "The headers are too long"),
];

/// What any request may meet.
const BY_ANY: [&str; 3] = ["403", "421", "500"];
/// What those may meet that need the token.
const BY_STRANGERS: [&str; 3] = ["401", "503", "507"];
/// What those may meet that send something.
const BY_SENDERS: [&str; 5] = ["400", "408", "413", "415", "422"];

/// Adds to `description` what handlers do not say.
pub(super) fn complete(description: &mut OpenApi) {
    let components = description.components.get_or_insert_default();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    components.security_schemes.insert("token".to_owned(), bearer.into());
    description.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("token", [])]);
    for (path, item) in &mut description.paths.paths {
        for operation in operations(item) {
            add_refusals(path, operation);
        }
    }
    for (status, meaning) in REFUSALS {
        let mut response = Response::new(meaning);
        let body = Content::new(Some(Ref::from_schema_name("ErrorBody")));
        response.content.insert("application/json".to_owned(), body.into());
        components.responses.insert(name_of(status), response.into());
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.delete].into_iter().flatten()
}

fn add_refusals(path: &str, operation: &mut Operation) {
    let own = operation.responses.responses.keys().map(String::as_str);
    let own = own.filter(|status| !status.starts_with(['2', '3']));
    let mut statuses: Vec<String> = own.map(str::to_owned).collect();
    let mut add = |more: &[&str]| statuses.extend(more.iter().map(|status| (*status).to_owned()));
    add(&BY_ANY);
    if path.starts_with("/v1/") {
        add(&BY_STRANGERS);
    }
    if operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty()) {
        add(&["400"]);
    }
    if path.contains('{') {
        add(&["404"]);
    }
    if operation.request_body.is_some() {
        add(&BY_SENDERS);
    }
    let Responses { responses, .. } = &mut operation.responses;
    for status in statuses {
        let named = RefOr::Ref(Ref::from_response_name(name_of(&status)));
        responses.insert(status, named);
    }
}

fn name_of(status: &str) -> String {
    format!("Refused{status}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::router::description;

    #[test]
    fn every_refusal_has_a_sentence_and_the_common_ones_are_everywhere() {
        let described = serde_json::to_value(description()).unwrap();
        let responses = described["components"]["responses"].as_object().unwrap();
        for (path, item) in described["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let told = operation["responses"].as_object().unwrap();
                for status in BY_ANY {
                    assert!(told.contains_key(status), "{method} {path} tells no {status}");
                }
                for (status, answer) in told {
                    if status.starts_with(['2', '3']) {
                        continue;
                    }
                    let name = answer["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
                    let meaning = &responses[name]["description"];
                    assert!(!meaning.as_str().unwrap().is_empty(), "{method} {path}: {status}");
                }
                let takes_body = operation.get("requestBody").is_some();
                assert_eq!(told.contains_key("413"), takes_body, "{method} {path}");
            }
        }
        let search = &described["paths"]["/v1/search"]["post"]["responses"];
        for status in ["200", "400", "401", "404", "408", "409", "413", "415", "422", "503"] {
            assert!(search.get(status).is_some(), "{status}: {search}");
        }
    }
}
