//! A headless Chromium under control: the little of the WebDriver protocol that it takes, over plain sockets, so that this crate
//! needs no HTTP client for it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Longest time for anything that the browser does.
const LIMIT: Duration = Duration::from_secs(60);

/// A browser. Both programs end with it.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
    // Goes last: the browser writes into it.
    directory: TempDir,
}

/// Starts a browser; `None`, with a message, where Chromium is not installed and not demanded either.
pub fn start() -> Option<Browser> {
    if let (Some(chromium), Some(driver)) = (find("chromium"), find("chromedriver")) {
        return Some(Browser::start(&chromium, &driver));
    }
    let set = |name: &str, value: &str| std::env::var(name).is_ok_and(|text| text == value);
    let demanded = set("CI", "true") || set("SRE_HARNESS_REQUIRE_BROWSER", "1");
    let message = "chromium and chromedriver are not installed: apt-get install chromium chromium-driver";
    assert!(!demanded, "{message}");
    eprintln!("SKIPPED: {message}");
    None
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.is_file())
}

impl Browser {
    fn start(chromium: &Path, driver: &Path) -> Self {
        let directory = TempDir::with_prefix("report-browser-").unwrap();
        let mut command = Command::new(driver);
        // HOME: Chromium writes beside its profile, too.
        command.arg("--port=0").env("HOME", directory.path()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut driver = command.spawn().unwrap();
        let output = BufReader::new(driver.stdout.take().unwrap());
        let (found, port) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to the end: the driver must never write into a closed pipe.
            for line in output.lines().map_while(Result::ok) {
                let port = line.split("successfully on port ").nth(1);
                if let Some(Ok(port)) = port.map(|rest| rest.trim_end_matches('.').parse::<u16>()) {
                    let _ = found.send(port);
                }
            }
        });
        let mut browser = Self { driver, port: 0, session: String::new(), directory };
        browser.port = port.recv_timeout(LIMIT).expect("chromedriver starts");
        let profile = format!("--user-data-dir={}", browser.directory.path().join("data").display());
        let mut arguments = vec![profile];
        let fixed = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--no-proxy-server",
            "--hide-scrollbars",
            "--window-size=1200,900",
        ];
        arguments.extend(fixed.map(str::to_owned));
        let capabilities = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": { "binary": chromium, "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL", "performance": "ALL" },
        }}});
        let session = browser.send("POST", "/session", Some(&capabilities));
        browser.session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        browser
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .unwrap();
        let mut answer = BufReader::new(stream);
        let (mut length, mut line) = (0, String::new());
        while answer.read_line(&mut line).unwrap() > 2 {
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        answer.read_exact(&mut body).unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        if let Some(error) = answer["value"].get("error") {
            panic!("{path}: {error}: {}", answer["value"]["message"]);
        }
        answer["value"].clone()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.send("POST", &format!("{}{path}", self.session), Some(body))
    }

    /// Opens a page from a file.
    pub fn open(&self, name: &str, page: &str) {
        let file = self.directory.path().join(format!("{name}.html"));
        std::fs::write(&file, page).unwrap();
        self.post("/url", &json!({ "url": format!("file://{}", file.display()) }));
    }

    /// Runs JavaScript (the body of a function) and returns its result.
    pub fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// A command of the DevTools protocol.
    pub fn command(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    /// A screen of this size, in CSS pixels.
    pub fn screen(&self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        self.command("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// `screen` or `print`, and `light` or `dark`.
    pub fn media(&self, media: &str, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.command("Emulation.setEmulatedMedia", &json!({ "media": media, "features": features }));
    }

    /// What the page wrote to the console, and what the browser said of it.
    pub fn console(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({ "type": "browser" }));
        entries.as_array().unwrap().iter().map(|entry| entry["message"].to_string()).collect()
    }

    /// Addresses of everything that was asked for.
    pub fn requests(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({ "type": "performance" }));
        let message = |entry: &Value| serde_json::from_str::<Value>(entry["message"].as_str()?).ok();
        let messages = entries.as_array().unwrap().iter().filter_map(message);
        let sent = messages.filter(|one| one["message"]["method"] == "Network.requestWillBeSent");
        sent.map(|one| one["message"]["params"]["request"]["url"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// The page on paper, as PDF.
    pub fn print(&self) -> Vec<u8> {
        let pdf =
            self.command("Page.printToPDF", &json!({ "printBackground": true, "preferCSSPageSize": true }));
        BASE64_STANDARD.decode(pdf["data"].as_str().unwrap()).unwrap()
    }

    /// Writes a PNG of the whole page into the directory that `REPORT_SCREENSHOTS` names, if it is set.
    pub fn screenshot(&self, name: &str) {
        let Some(directory) = std::env::var_os("REPORT_SCREENSHOTS") else { return };
        let picture = self.command("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        let bytes = BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(Path::new(&directory).join(format!("{name}.png")), bytes).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without panics: this may run because of one. The driver ends its browser with the session.
        if !self.session.is_empty()
            && let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port))
        {
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = write!(
                stream,
                "DELETE {} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
                self.session
            );
            let _ = stream.read(&mut [0; 64]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
