//! A small WebDriver client: enough of the W3C protocol to use pages as a person does.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use reqwest::{Client, Method};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fixture::{
    eventually,
    process::{Program, Running, find_program},
};

/// Key of element references in WebDriver's JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser under control. Both programs end with it.
pub struct Browser {
    base: String,
    http: Client,
    _driver: Running,
    profile: TempDir,
}

/// The two programs, if they are installed.
pub fn installed() -> Option<(Program, Program)> {
    Some((find_program("chromium")?, find_program("chromedriver")?))
}

impl Browser {
    /// Starts chromedriver and, through it, a headless Chromium with a new profile.
    pub async fn start((chromium, chromedriver): (Program, Program), dark: bool) -> Self {
        let profile = TempDir::with_prefix("gallery-browser-").unwrap();
        let mut command = chromedriver.command();
        // HOME: Chromium writes beside its profile, too.
        command.arg("--port=0").env("HOME", profile.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = Running::spawn(command, Signal::TERM);
        let output = BufReader::new(driver.child().stdout.take().unwrap());
        let (found, port) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let mut found = Some(found);
            // Read to the end: the driver must never write into a closed pipe.
            for line in output.lines().map_while(Result::ok) {
                let port = line
                    .split("successfully on port ")
                    .nth(1)
                    .and_then(|rest| rest.trim_end_matches('.').parse::<u16>().ok());
                if let (Some(port), Some(found)) = (port, found.take_if(|_| port.is_some())) {
                    let _ = found.send(port);
                }
            }
        });
        let port =
            tokio::time::timeout(Duration::from_secs(20), port).await.expect("chromedriver starts").unwrap();
        let base = format!("http://127.0.0.1:{port}");
        let http = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let mut browser = Self { base, http, _driver: driver, profile };
        let data = browser.profile.path().join("data");
        let mut arguments: Vec<String> = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--window-size=1200,900",
        ]
        .map(str::to_owned)
        .into();
        arguments.push(format!("--user-data-dir={}", data.display()));
        if dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium.path(), "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        }}});
        let session = browser.send(Method::POST, "/session", Some(capabilities)).await;
        let id = session["sessionId"].as_str().unwrap();
        browser.base = format!("{}/session/{id}", browser.base);
        browser
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        if let Some(error) = answer["value"].get("error") {
            panic!("{path}: {error}: {}", answer["value"]["message"]);
        }
        answer["value"].clone()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.send(Method::POST, path, Some(body)).await
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.post("/url", json!({ "url": url })).await;
    }

    /// Runs JavaScript (the body of a function) and returns its result.
    pub async fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// Waits for the visible element of a CSS selector.
    pub async fn visible(&self, selector: &str) -> String {
        eventually(Duration::from_secs(15), &format!("{selector} is visible"), async || {
            let found = self.post("/elements", json!({ "using": "css selector", "value": selector })).await;
            for element in found.as_array().unwrap() {
                let id = element[ELEMENT].as_str().unwrap();
                if self.send(Method::GET, &format!("/element/{id}/displayed"), None).await == true {
                    return Some(id.to_owned());
                }
            }
            None
        })
        .await
    }

    /// Clicks an element as soon as it is visible.
    pub async fn click(&self, selector: &str) {
        let id = self.visible(selector).await;
        self.post(&format!("/element/{id}/click"), json!({})).await;
    }

    /// Replaces the text of a field.
    pub async fn fill(&self, selector: &str, text: &str) {
        let id = self.visible(selector).await;
        self.post(&format!("/element/{id}/clear"), json!({})).await;
        self.post(&format!("/element/{id}/value"), json!({ "text": text })).await;
    }

    /// Chooses a file in a file field, which need not be visible.
    pub async fn choose_file(&self, selector: &str, path: &str) {
        let found = self.post("/element", json!({ "using": "css selector", "value": selector })).await;
        let id = found[ELEMENT].as_str().unwrap();
        self.post(&format!("/element/{id}/value"), json!({ "text": path })).await;
    }

    /// Waits until the visible text of an element contains `text`.
    pub async fn shows(&self, selector: &str, text: &str) {
        let mut seen = String::new();
        let start = std::time::Instant::now();
        loop {
            let id = self.visible(selector).await;
            let value = self.send(Method::GET, &format!("/element/{id}/text"), None).await;
            seen.clear();
            seen.push_str(value.as_str().unwrap_or_default());
            if seen.contains(text) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(15), "{selector} shows {seen:?}, not {text:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Sets the size of the window.
    pub async fn resize(&self, width: u32, height: u32) {
        self.post("/window/rect", json!({ "width": width, "height": height })).await;
    }

    /// What the page wrote to the console, and what failed to load.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", json!({ "type": "browser" })).await;
        let text = |entry: &Value| entry["message"].as_str().unwrap_or_default().to_owned();
        entries.as_array().unwrap().iter().map(text).collect()
    }

    /// Writes a PNG of the page into the directory that `GALLERY_SCREENSHOTS` names, if it is set.
    pub async fn screenshot(&self, name: &str) {
        let Some(directory) = std::env::var_os("GALLERY_SCREENSHOTS") else { return };
        let picture = self.send(Method::GET, "/screenshot", None).await;
        let bytes = BASE64_STANDARD.decode(picture.as_str().unwrap()).unwrap();
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(std::path::Path::new(&directory).join(format!("{name}.png")), bytes).unwrap();
    }

    /// Ends the browser.
    pub async fn quit(self) {
        self.send(Method::DELETE, "", None).await;
    }
}
