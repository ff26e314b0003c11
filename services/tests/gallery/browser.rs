//! A person with a browser: the pages in a headless Chromium.

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{
    fixture::{System, png},
    webdriver::{Browser, installed},
};

/// Starts a browser; `None`, with a message, where Chromium is not installed and not demanded either.
async fn browser(dark: bool) -> Option<Browser> {
    if let Some(programs) = installed() {
        return Some(Browser::start(programs, dark).await);
    }
    let set = |name: &str, value: &str| std::env::var(name).is_ok_and(|text| text == value);
    let demanded = set("CI", "true") || set("SRE_HARNESS_REQUIRE_BROWSER", "1");
    assert!(
        !demanded,
        "chromium and chromedriver are not installed: apt-get install chromium chromium-driver"
    );
    eprintln!(
        "SKIPPED: chromium and chromedriver are not installed (apt-get install chromium chromium-driver)"
    );
    None
}

async fn fill_in(browser: &Browser, form: &str, name: &str, password: &str) {
    browser.fill(&format!("#{form} [name=username]"), name).await;
    browser.fill(&format!("#{form} [name=password]"), password).await;
    browser.click(&format!("#{form} [type=submit]")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visit() {
    let Some(browser) = browser(false).await else { return };
    let mut system = System::start().await;
    browser.open(&format!("http://{}/", system.portal.address)).await;
    browser.visible("#login").await;
    browser.screenshot("welcome").await;

    // Messages of the API reach the person.
    browser.click("#tab-register").await;
    fill_in(&browser, "register", "a'; DROP TABLE users; --", "correct horse").await;
    browser.shows("#register .message", "A username has 3 to 32 characters").await;
    browser.screenshot("register-refused").await;
    fill_in(&browser, "register", "Ann", "correct horse").await;
    browser.shows("#login .message", "Your account is ready").await;
    browser.screenshot("registered").await;

    fill_in(&browser, "login", "ann", "wrong password").await;
    browser.shows("#login .message", "Invalid username or password").await;
    browser.screenshot("wrong-password").await;
    fill_in(&browser, "login", "ann", "correct horse").await;
    browser.shows("#profile-name", "ann").await;
    browser.visible("#empty").await;
    browser.screenshot("profile-empty").await;
    let cookies = browser.script("return document.cookie").await;
    assert_eq!(cookies, "", "scripts do not see the session");

    let text = NamedTempFile::with_suffix(".png").unwrap();
    std::fs::write(text.path(), "a text that is called .png").unwrap();
    browser.choose_file("#file", text.path().to_str().unwrap()).await;
    browser.shows("#upload-message", "not a PNG, JPEG, GIF or WebP picture").await;

    let picture = NamedTempFile::with_suffix(".png").unwrap();
    std::fs::write(picture.path(), png()).unwrap();
    browser.choose_file("#file", picture.path().to_str().unwrap()).await;
    browser.shows("#upload-message", "The picture is uploaded").await;
    browser.visible("#pictures img").await;
    let loaded = "const i = document.querySelector('#pictures img'); return i.complete ? [i.naturalWidth, i.naturalHeight] : null";
    crate::fixture::eventually(std::time::Duration::from_secs(10), "the picture is drawn", async || {
        (browser.script(loaded).await == serde_json::json!([4, 3])).then_some(())
    })
    .await;
    browser.screenshot("profile").await;
    browser.click(".picture").await;
    browser.visible("#viewer-image").await;
    browser.screenshot("viewer").await;
    browser.click("#viewer button").await;

    // Coming back later: the session is still there.
    browser.open(&format!("http://{}/", system.portal.address)).await;
    browser.visible("#pictures img").await;
    browser.resize(420, 900).await;
    let overflow = browser.script("return document.documentElement.scrollWidth - window.innerWidth").await;
    assert!(overflow.as_i64().unwrap() <= 0, "a narrow window scrolls sideways by {overflow}");
    browser.screenshot("profile-narrow").await;
    browser.click("#logout").await;
    browser.shows("#login .message", "You are logged out").await;
    browser.screenshot("welcome-narrow").await;
    browser.open(&format!("http://{}/", system.portal.address)).await;
    browser.visible("#login").await;
    browser.resize(1200, 900).await;

    // A database that is away is a message, not a blank page.
    system.postgres.stop();
    fill_in(&browser, "login", "ann", "correct horse").await;
    browser.shows("#login .message", "Failed to communicate with Auth service").await;
    browser.screenshot("database-away").await;

    let expected = ["401", "409", "415", "422", "503"];
    let unexpected: Vec<String> = browser.console().await;
    let unexpected: Vec<_> =
        unexpected.iter().filter(|line| !expected.iter().any(|status| line.contains(status))).collect();
    assert!(unexpected.is_empty(), "errors in the browser's console: {unexpected:#?}");
    browser.quit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dark_mode_and_a_gateway_that_is_away() {
    let Some(browser) = browser(true).await else { return };
    let env =
        [("LISTEN_ADDR", "127.0.0.1:0"), ("METRICS_ADDR", "127.0.0.1:0"), ("API_URL", "http://127.0.0.1:9")];
    let env = services::config::Env::from_pairs(env);
    let portal = services::portal::service(&env).unwrap().start().await.unwrap();
    browser.open(&format!("http://{}/", portal.address)).await;
    browser.shows("#trouble-message", "Failed to communicate with API service").await;
    browser.screenshot("trouble-dark").await;
    browser.script("document.getElementById('trouble').hidden = true; document.getElementById('welcome').hidden = false").await;
    browser.screenshot("welcome-dark").await;
    let background = browser.script("return getComputedStyle(document.body).backgroundColor").await;
    assert_eq!(background, Value::String("rgb(18, 18, 26)".to_owned()), "follows the system's dark mode");
    browser.quit().await;
    portal.shut_down().await;
}
