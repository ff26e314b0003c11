//! The page as people meet it: on a screen, on a phone, in the dark, on paper.

use serde_json::Value;

use crate::{driver, driver::Browser, logs};

/// What an audit by hand would look for, as a list of complaints.
const AUDIT: &str = include_str!("audit.js");

#[test]
fn the_page_in_a_browser() {
    let Some(browser) = driver::start() else { return };
    for (name, events) in logs::all() {
        let told = !["refused", "not-ready"].contains(&name);
        browser.screen(1200, 900);
        browser.media("screen", "light");
        browser.open(name, &logs::page(&events));
        sound(&browser, name);
        assert_eq!(browser.script("return typeof window.pwned"), "undefined", "{name}");
        if told && name != "unfinished" {
            charts(&browser, name);
        }
        browser.screenshot(&format!("{name}-wide"));
        if ["failing", "surge", "hostile"].contains(&name) {
            browser.screen(360, 740);
            sound(&browser, &format!("{name} on a phone"));
            browser.screenshot(&format!("{name}-phone"));
        }
    }
    dark(&browser);
    paper(&browser);
    zoom_and_crosshair(&browser);
    anchors(&browser);
    let said = browser.console();
    assert!(said.is_empty(), "errors in the browser's console: {said:#?}");
    let asked = browser.requests();
    assert!(asked.len() > 5, "requests are recorded: {asked:?}");
    let outside: Vec<_> = asked
        .iter()
        .filter(|url| !["file:///", "data:", "chrome://"].iter().any(|own| url.starts_with(own)))
        .collect();
    assert!(outside.is_empty(), "the page asks for {outside:?}");
}

fn sound(browser: &Browser, name: &str) {
    let complaints = browser.script(AUDIT);
    let complaints: Vec<String> = serde_json::from_value(complaints).unwrap();
    assert!(complaints.is_empty(), "{name}: {complaints:#?}");
}

/// Every chart has lines that can be seen, and every lane with bars, too.
fn charts(browser: &Browser, name: &str) {
    let lines = browser.script(
        "return [...document.querySelectorAll('.chart')].map(chart => {
            const paths = [...chart.querySelectorAll('.plot path.line')];
            return [chart.id, paths.length, paths.every(path => path.getTotalLength() > 0 || path.classList.contains('dots') && path.getAttribute('d').length > 5)];
        })",
    );
    let lines = lines.as_array().unwrap();
    assert!(!lines.is_empty(), "{name} has no chart");
    for line in lines {
        assert!(line[1].as_u64().unwrap() > 0 && line[2] == true, "{name}: {line}");
    }
    let bars = browser.script(
        "return [...document.querySelectorAll('.lane .bar rect')].filter(bar => bar.getBoundingClientRect().width > 1).length",
    );
    assert!(bars.as_u64().unwrap() > 1, "{name}: {bars} bars");
}

fn dark(browser: &Browser) {
    let background = || browser.script("return getComputedStyle(document.body).backgroundColor");
    browser.screen(1200, 900);
    browser.open("dark", &logs::page(&logs::failing()));
    let light = background();
    browser.media("screen", "dark");
    assert_ne!(background(), light, "follows the system");
    sound(browser, "failing in the dark");
    browser.screenshot("failing-dark");
    browser.open("dark-surge", &logs::page(&logs::surge()));
    sound(browser, "surge in the dark");
    browser.screenshot("surge-dark");
    browser.media("screen", "light");
}

fn paper(browser: &Browser) {
    browser.open("paper", &logs::page(&logs::failing()));
    let pdf = browser.print();
    assert!(pdf.starts_with(b"%PDF") && pdf.len() > 20_000, "{} bytes", pdf.len());
    if let Some(directory) = std::env::var_os("REPORT_SCREENSHOTS") {
        std::fs::write(std::path::Path::new(&directory).join("failing.pdf"), pdf).unwrap();
    }
    // Also in the dark, paper is white.
    browser.media("print", "dark");
    browser.script("dispatchEvent(new Event('beforeprint'))");
    let seen = browser.script(
        "return {
            background: getComputedStyle(document.body).backgroundColor,
            nav: getComputedStyle(document.querySelector('nav')).display,
            closed: [...document.querySelectorAll('details:not(.values):not(.alt)')].filter(one => !one.open).length,
            story: document.querySelector('#story .lines').getBoundingClientRect().height,
        }",
    );
    assert_eq!(seen["background"], "rgb(255, 255, 255)");
    assert_eq!((&seen["nav"], &seen["closed"]), (&Value::from("none"), &Value::from(0)));
    assert!(seen["story"].as_f64().unwrap() > 100.0, "{seen}");
    browser.script("dispatchEvent(new Event('afterprint'))");
    let open = browser.script("return document.querySelector('#story details').open");
    assert_eq!(open, false, "as before");
    browser.media("screen", "light");
}

fn zoom_and_crosshair(browser: &Browser) {
    browser.open("zoom", &logs::page(&logs::surge()));
    let seen = browser.script(
        "const plot = document.querySelector('#chart-rate .plot');
        const area = plot.getBoundingClientRect();
        plot.dispatchEvent(new PointerEvent('pointermove', { bubbles: true, clientX: area.left + area.width / 3, clientY: area.top + 5 }));
        const tip = document.querySelector('.tl > .tip');
        const said = tip.textContent, shown = !tip.hidden;
        const scroller = document.querySelector('.tl-scroll');
        scroller.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowRight' }));
        const moved = tip.textContent;
        const buttons = [...document.querySelectorAll('#zooms button')];
        const button = buttons.find(one => one.textContent === 'fault');
        const before = document.querySelector('.tl').offsetWidth;
        const last = buttons.at(-1);
        last.click();
        const zoomed = document.querySelector('.tl').offsetWidth;
        const pressed = last.getAttribute('aria-pressed');
        buttons[0].click();
        return { said, shown, moved, before, zoomed, pressed, after: document.querySelector('.tl').offsetWidth, hidden: document.getElementById('zooms').hidden, fault: !!button };",
    );
    let said = seen["said"].as_str().unwrap();
    assert!(said.starts_with("+1") && said.contains(" UTC") && said.contains("surge: 1000/s"), "{said}");
    assert!(seen["shown"] == true && seen["moved"] != seen["said"] && seen["fault"] == true, "{seen}");
    assert!(seen["zoomed"].as_u64() > seen["before"].as_u64() && seen["after"] == seen["before"], "{seen}");
    assert_eq!((&seen["pressed"], &seen["hidden"]), (&Value::from("true"), &Value::from(false)));
}

/// A link into closed details opens them.
fn anchors(browser: &Browser) {
    browser.open("anchors", &logs::page(&logs::surge()));
    let open = browser.script(
        "const table = document.getElementById('chart-rate-table');
        const before = table.closest('details').open;
        location.hash = '#chart-rate-table';
        return new Promise(done => addEventListener('hashchange', () => setTimeout(() => done([before, table.closest('details').open]))));",
    );
    assert_eq!(open, serde_json::json!([false, true]));
}
