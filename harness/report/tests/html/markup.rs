//! A strict reader of markup: what it accepts, every browser reads the same way.

use std::collections::HashSet;

/// An element as it begins.
#[derive(Debug)]
pub struct Element {
    pub name: String,
    pub attributes: Vec<(String, String)>,
}

impl Element {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

const VOID: [&str; 4] = ["meta", "link", "br", "img"];

/// All elements. Panics where tags do not balance, attributes are not quoted, or an id is given twice.
pub fn read(page: &str) -> Vec<Element> {
    let (mut elements, mut open) = (Vec::new(), Vec::<String>::new());
    let mut rest = page.strip_prefix("<!doctype html>").expect("a document type");
    while let Some(start) = rest.find('<') {
        rest = &rest[start + 1..];
        if let Some(closing) = rest.strip_prefix('/') {
            let (name, after) = closing.split_once('>').expect("a closing tag ends");
            assert_eq!(
                open.pop().as_deref(),
                Some(name),
                "</{name}> closes what is not open: {}",
                &after[..after.len().min(200)]
            );
            rest = after;
            continue;
        }
        let (element, empty, after) = begin(rest);
        rest = after;
        if element.name == "script" || element.name == "style" {
            // Raw text: ends with its own closing tag alone.
            let end = rest.find(&format!("</{}>", element.name)).expect("raw text ends");
            rest = &rest[end..];
        }
        if !empty && !VOID.contains(&element.name.as_str()) {
            open.push(element.name.clone());
        }
        elements.push(element);
    }
    assert!(open.is_empty(), "left open: {open:?}");
    elements
}

fn begin(text: &str) -> (Element, bool, &str) {
    let end = text.find(|character: char| !character.is_ascii_alphanumeric()).expect("a tag ends");
    let (name, mut rest) = text.split_at(end);
    assert!(!name.is_empty(), "a bare < in the text: {}", &text[..text.len().min(80)]);
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("/>") {
            return (Element { name: name.to_owned(), attributes }, true, after);
        }
        if let Some(after) = rest.strip_prefix('>') {
            return (Element { name: name.to_owned(), attributes }, false, after);
        }
        let end = rest.find(|character: char| "=> /\n".contains(character)).expect("an attribute ends");
        let (attribute, after) = rest.split_at(end);
        assert!(
            attribute.chars().all(|c| c.is_ascii_alphanumeric() || "-:".contains(c)),
            "attribute {attribute:?} of {name}"
        );
        match after.strip_prefix("=\"") {
            Some(value) => {
                let (value, after) = value.split_once('"').expect("a value ends");
                assert!(!value.contains('<'), "{attribute}={value:?}");
                attributes.push((attribute.to_owned(), value.to_owned()));
                rest = after;
            }
            None => {
                assert!(!after.starts_with('='), "{attribute} of {name} is not quoted");
                attributes.push((attribute.to_owned(), String::new()));
                rest = after;
            }
        }
    }
}

/// Ids are unique, whatever names one exists, and nothing points outside.
pub fn check_references(page: &str, elements: &[Element]) {
    let mut ids = HashSet::new();
    for id in elements.iter().filter_map(|element| element.get("id")) {
        assert!(!id.is_empty() && ids.insert(id), "id {id:?} is given twice");
    }
    for element in elements {
        for (name, value) in &element.attributes {
            match name.as_str() {
                "aria-labelledby" | "aria-describedby" => {
                    value.split_whitespace().for_each(|id| assert!(ids.contains(id), "{name}={value:?}"));
                }
                "href" if element.name == "link" => assert_eq!(value, "data:,"),
                "href" => {
                    let id =
                        value.strip_prefix('#').unwrap_or_else(|| panic!("a link leaves the page: {value}"));
                    assert!(ids.contains(id), "a link leads nowhere: {value}");
                }
                "src" | "action" | "xlink:href" | "srcset" | "style" => panic!("{name} in {element:?}"),
                handler if handler.starts_with("on") => panic!("{name} in {element:?}"),
                _ => {}
            }
        }
    }
    for reference in page.split("url(#").skip(1) {
        let id = reference.split(')').next().unwrap();
        assert!(ids.contains(id), "url(#{id})");
    }
}

/// Headings go down one level at a time, tables and pictures have names, there is one of each landmark.
pub fn check_structure(elements: &[Element]) {
    let levels: Vec<u32> =
        elements.iter().filter_map(|element| element.name.strip_prefix('h')?.parse().ok()).collect();
    assert_eq!(levels.iter().filter(|level| **level == 1).count(), 1);
    assert_eq!(levels[0], 1);
    for two in levels.windows(2) {
        assert!(two[1] <= two[0] + 1, "a level of headings is left out: {levels:?}");
    }
    for (name, number) in
        [("main", 1), ("header", 1), ("footer", 1), ("nav", 1), ("script", 1), ("style", 1), ("title", 0)]
    {
        let found = elements.iter().filter(|element| element.name == name).count();
        assert!(found == number || (number == 0 && found > 0), "{found} of {name}");
    }
    let (mut tables, mut captions) = (0, 0);
    for element in elements {
        match element.name.as_str() {
            "table" => tables += 1,
            "caption" => captions += 1,
            "th" => assert!(matches!(element.get("scope"), Some("col" | "row")), "{element:?}"),
            "svg" if element.get("role") == Some("img") => {
                assert!(
                    element.get("aria-label").or(element.get("aria-labelledby")).is_some(),
                    "{element:?}"
                );
            }
            _ => {}
        }
    }
    assert_eq!(tables, captions);
}

#[test]
#[should_panic(expected = "closes what is not open")]
fn the_reader_sees_tags_that_do_not_balance() {
    read("<!doctype html><p><b></p></b>");
}
