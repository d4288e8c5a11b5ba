//! The documentation page, in a browser that can reach nothing but the server.

use serde_json::Value;

use crate::browser::Browser;
use crate::process::{Place, Server, command, run};

/// Opens an operation of the page, to be tried.
fn open(browser: &mut Browser, block: &str) {
    browser.click(&format!("{block} .opblock-summary-control"));
    browser.click(&format!("{block} .try-out__btn"));
}

/// Carries an operation out, and gives the status and the body that the page shows of the answer.
fn execute(browser: &mut Browser, block: &str) -> (String, Value) {
    browser.click(&format!("{block} .btn.execute"));
    let status = browser.text(&format!("{block} .live-responses-table .response .response-col_status"));
    let body = browser.text(&format!("{block} .live-responses-table .response .highlight-code code"));
    let body = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    (status.trim().to_owned(), body)
}

#[tokio::test]
async fn the_page_signs_in_and_lists_services_and_asks_nobody_but_the_server() {
    let place = Place::new();
    place.apply_catalog();
    let store = place.store();
    let key = run(&mut command(&["api-key", "create", "--org", "acme", "--store", &store])).succeeded();
    let key: Value = serde_json::from_str(&key).expect("JSON");
    let server = Server::start(&["--store", &store]);
    for name in ["First light", "Second wind"] {
        server.create(name).await;
    }

    let mut browser = Browser::start();
    browser.open(&format!("{}/docs", server.url));
    let sign_in = "#operations-users-signInWithApiKey";
    open(&mut browser, sign_in);
    let given = [
        ("organization", "acme"),
        ("x-api-key", key["api_key"].as_str().expect("a key")),
        ("x-api-key-id", key["api_key_id"].as_str().expect("an id")),
        ("x-user-id", "alice"),
    ];
    for (parameter, value) in given {
        browser.fill(&format!("{sign_in} tr[data-param-name='{parameter}'] input"), value);
    }
    let (status, signed_in) = execute(&mut browser, sign_in);
    assert_eq!(status, "200", "{signed_in}");
    let token = signed_in["id_token"].as_str().expect("a token");

    let list = "#operations-services-listServices";
    open(&mut browser, list);
    browser.fill(&format!("{list} tr[data-param-name='organization'] input"), "acme");
    let (status, refused) = execute(&mut browser, list);
    assert_eq!((status.as_str(), &refused["error_code"]), ("401", &"unauthenticated".into()));
    browser.click(&format!("{list} .btn-clear"));

    browser.click(".scheme-container .auth-wrapper .btn.authorize");
    browser.fill("#auth-bearer-value", token);
    browser.click("form:has(#auth-bearer-value) .btn.authorize");
    browser.click(".modal-ux .btn-done");
    let (status, page) = execute(&mut browser, list);
    assert_eq!(status, "200", "{page}");
    let services = page["services"].as_array().expect("services");
    let mut names: Vec<&str> =
        services.iter().map(|service| service["name"].as_str().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["First light", "Second wind"]);

    let requests = browser.events("Network.requestWillBeSent");
    let urls: Vec<&str> =
        requests.iter().map(|event| event["request"]["url"].as_str().expect("a URL")).collect();
    let elsewhere = |url: &&&str| !url.starts_with(&format!("{}/", server.url)) && !url.starts_with("data:");
    assert_eq!(urls.iter().filter(elsewhere).collect::<Vec<_>>(), [] as [&&str; 0]);
    for path in ["/docs", "/openapi.json", "/v1/acme/user/signin_with_api_key", "/v1/acme/service/"] {
        assert!(urls.iter().any(|url| url.contains(path)), "{path} is not among {urls:?}");
    }
    assert_eq!(browser.events("Runtime.exceptionThrown"), [] as [&Value; 0]);
    // Chromium notes the 401 itself. What its policy keeps from the page would be among the others.
    let notes = browser.events("Log.entryAdded");
    let errors = notes.iter().map(|note| &note["entry"]).filter(|entry| entry["level"] == "error");
    let others: Vec<&Value> = errors.filter(|entry| entry["source"] != "network").collect();
    assert_eq!(others, [] as [&Value; 0]);
    server.stop();
}
