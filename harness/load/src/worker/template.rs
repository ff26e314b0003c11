//! Text with placeholders: parsed once, rendered for every request.

use bytes::Bytes;
use thiserror::Error;

/// Names of the values that answers give, as places in a user's values.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// The place of a name, a new one if it is not known yet.
    pub(super) fn add(&mut self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| {
            self.0.push(name.to_owned());
            self.0.len() - 1
        })
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| known == name)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What placeholders stand for when a template is parsed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    /// `${run.id}`.
    pub(super) run: &'a str,
    /// `${value.NAME}`.
    pub(super) values: &'a Names,
}

/// What placeholders stand for when a request is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill<'a> {
    /// `${user.id}`.
    pub(super) user: u64,
    /// `${user.round}`.
    pub(super) round: u64,
    /// `${value.NAME}`; none while no answer had it.
    pub(super) values: &'a [Option<String>],
}

/// How a value is written where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// As it is.
    None,
    /// In a URL before the query: only what no URL may contain is percent-encoded, so that a value can be a path or a whole URL.
    Url,
    /// In a URL's query: everything but unreserved characters is percent-encoded.
    Query,
    /// In a JSON string.
    Json,
    /// In `application/x-www-form-urlencoded`.
    Form,
}

/// A placeholder that is not one.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// `${` without `}`.
    #[error("`${{` without `}}` in {0:?}")]
    Open(String),
    /// No such placeholder.
    #[error("`${{{0}}}` is no placeholder")]
    Unknown(String),
    /// `${value.NAME}` that no step extracts.
    #[error("no step extracts `${{value.{0}}}`")]
    NotExtracted(String),
}

/// A request needs a value that no answer has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    User,
    Round,
    /// The same one wherever it stands in one text; texts are told apart by this number.
    Random(usize),
    Value(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Text(Vec<u8>),
    Fill(Source, Escape),
}

/// Bytes with placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template(Vec<Segment>);

impl Template {
    /// Text in which nothing needs escaping.
    pub(super) fn plain(text: &str, known: Known<'_>) -> Result<Self, TemplateError> {
        let mut template = Self::default();
        template.push(text, Escape::None, known)?;
        Ok(template)
    }

    /// A URL. Its own characters stay as they are; values are escaped by where they stand.
    pub(super) fn url(text: &str, known: Known<'_>) -> Result<Self, TemplateError> {
        let mut template = Self::default();
        let (text_number, mut escape) = (0, Escape::Url);
        for part in parts(text) {
            match part? {
                Part::Text(text) => {
                    template.raw(text.as_bytes());
                    if text.contains('?') {
                        escape = Escape::Query;
                    }
                }
                Part::Placeholder(name) => template.placeholder(name, text_number, escape, known)?,
            }
        }
        Ok(template)
    }

    /// Appends bytes that contain no placeholder.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        match self.0.last_mut() {
            Some(Segment::Text(text)) => text.extend_from_slice(bytes),
            _ => self.0.push(Segment::Text(bytes.to_vec())),
        }
    }

    /// Appends text with placeholders; the text and what is put in are escaped alike.
    pub(super) fn push(&mut self, text: &str, escape: Escape, known: Known<'_>) -> Result<(), TemplateError> {
        let text_number = self.0.len();
        for part in parts(text) {
            match part? {
                Part::Text(text) => {
                    let mut escaped = Vec::with_capacity(text.len());
                    write_escaped(text, escape, &mut escaped);
                    self.raw(&escaped);
                }
                Part::Placeholder(name) => self.placeholder(name, text_number, escape, known)?,
            }
        }
        Ok(())
    }

    fn placeholder(
        &mut self,
        name: &str,
        text: usize,
        escape: Escape,
        known: Known<'_>,
    ) -> Result<(), TemplateError> {
        let source = match name {
            "run.id" => {
                let mut escaped = Vec::new();
                write_escaped(known.run, escape, &mut escaped);
                self.raw(&escaped);
                return Ok(());
            }
            "user.id" => Source::User,
            "user.round" => Source::Round,
            "random" => Source::Random(text),
            _ => match name.strip_prefix("value.") {
                Some(value) => Source::Value(
                    known.values.find(value).ok_or_else(|| TemplateError::NotExtracted(value.to_owned()))?,
                ),
                None => return Err(TemplateError::Unknown(name.to_owned())),
            },
        };
        self.0.push(Segment::Fill(source, escape));
        Ok(())
    }

    /// The bytes, if nothing has to be put in.
    pub(super) fn constant(&self) -> Option<Bytes> {
        match self.0.as_slice() {
            [] => Some(Bytes::new()),
            [Segment::Text(text)] => Some(Bytes::copy_from_slice(text)),
            _ => None,
        }
    }

    /// Appends the bytes with everything put in.
    pub(super) fn render(&self, fill: Fill<'_>, out: &mut Vec<u8>) -> Result<(), Missing> {
        let mut random = None;
        for segment in &self.0 {
            match segment {
                Segment::Text(text) => out.extend_from_slice(text),
                Segment::Fill(Source::User, _) => write_number(fill.user, out),
                Segment::Fill(Source::Round, _) => write_number(fill.round, out),
                Segment::Fill(Source::Random(text), _) => {
                    let (_, number) = match random {
                        Some(known @ (of, _)) if of == text => known,
                        _ => *random.insert((text, rand::random())),
                    };
                    write_hex(number, out);
                }
                Segment::Fill(Source::Value(at), escape) => {
                    write_escaped(fill.values[*at].as_deref().ok_or(Missing)?, *escape, out);
                }
            }
        }
        Ok(())
    }
}

enum Part<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

fn parts(text: &str) -> impl Iterator<Item = Result<Part<'_>, TemplateError>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Some(open) = rest.find("${") else {
            return Some(Ok(Part::Text(std::mem::take(&mut rest))));
        };
        if open > 0 {
            let (before, after) = rest.split_at(open);
            rest = after;
            return Some(Ok(Part::Text(before)));
        }
        let Some(close) = rest.find('}') else {
            rest = "";
            return Some(Err(TemplateError::Open(text.to_owned())));
        };
        let name = &rest[2..close];
        rest = &rest[close + 1..];
        Some(Ok(Part::Placeholder(name)))
    })
}

const HEX: [u8; 16] = *b"0123456789abcdef";
const HEX_UPPER: [u8; 16] = *b"0123456789ABCDEF";

fn write_number(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn write_hex(number: u64, out: &mut Vec<u8>) {
    let digits: [u8; 16] = std::array::from_fn(|at| HEX[(number >> (60 - 4 * at)) as usize & 15]);
    out.extend_from_slice(&digits);
}

fn write_escaped(text: &str, escape: Escape, out: &mut Vec<u8>) {
    match escape {
        Escape::None => out.extend_from_slice(text.as_bytes()),
        Escape::Url => {
            percent(text, out, |byte| byte > b' ' && byte < 127 && !br#""<>\^`{|}#"#.contains(&byte))
        }
        Escape::Query => percent(text, out, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
        Escape::Form => {
            for (place, word) in text.split(' ').enumerate() {
                if place > 0 {
                    out.push(b'+');
                }
                percent(word, out, |byte| byte.is_ascii_alphanumeric() || b"*-._".contains(&byte));
            }
        }
        Escape::Json => {
            for &byte in text.as_bytes() {
                match byte {
                    b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                    0..b' ' => {
                        out.extend_from_slice(b"\\u00");
                        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                    }
                    _ => out.push(byte),
                }
            }
        }
    }
}

fn percent(text: &str, out: &mut Vec<u8>, keep: impl Fn(u8) -> bool) {
    for &byte in text.as_bytes() {
        if keep(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[
                b'%',
                HEX_UPPER[usize::from(byte >> 4)],
                HEX_UPPER[usize::from(byte & 15)],
            ]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::default();
        names.add("id");
        names.add("token");
        names
    }

    fn rendered(template: &Template, values: &[Option<String>]) -> Result<String, Missing> {
        let mut out = Vec::new();
        template.render(Fill { user: 7, round: 12, values }, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_is_known_beforehand_is_constant() {
        let names = names();
        let known = Known { run: "r-1", values: &names };
        let template = Template::plain("a ${run.id} $5 {x}", known).unwrap();
        assert_eq!(template.constant().as_deref(), Some(&b"a r-1 $5 {x}"[..]));
        assert_eq!(Template::plain("", known).unwrap().constant().as_deref(), Some(&b""[..]));
        assert!(Template::plain("${user.id}", known).unwrap().constant().is_none());
    }

    #[test]
    fn values_are_put_in_and_missed() {
        let names = names();
        let known = Known { run: "r", values: &names };
        let template = Template::plain("${user.id}/${user.round}/${value.token}", known).unwrap();
        assert_eq!(rendered(&template, &[None, Some("t".to_owned())]).unwrap(), "7/12/t");
        assert_eq!(rendered(&template, &[Some("t".to_owned()), None]), Err(Missing));
    }

    #[test]
    fn random_is_one_in_each_text_and_another_one_each_time() {
        let names = names();
        let known = Known { run: "r", values: &names };
        let mut template = Template::plain("${random}${random}", known).unwrap();
        template.push("${random}", Escape::None, known).unwrap();
        let text = rendered(&template, &[None, None]).unwrap();
        assert_eq!(text.len(), 48);
        assert!(text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(text[..16], text[16..32]);
        assert_ne!(text[..16], text[32..]);
        assert_ne!(rendered(&template, &[None, None]).unwrap(), text);
    }

    #[test]
    fn values_in_urls_are_escaped_by_their_place() {
        let names = names();
        let known = Known { run: "r", values: &names };
        let values = [Some("/a b?c=d&e".to_owned()), None];
        let url = Template::url("http://h${value.id}", known).unwrap();
        assert_eq!(rendered(&url, &values).unwrap(), "http://h/a%20b?c=d&e");
        let url = Template::url("http://h/p?q=${value.id}&x=1", known).unwrap();
        assert_eq!(rendered(&url, &values).unwrap(), "http://h/p?q=%2Fa%20b%3Fc%3Dd%26e&x=1");
    }

    #[test]
    fn bodies_are_escaped_by_their_kind() {
        let names = names();
        let known = Known { run: "r", values: &names };
        let values = [Some("a\"\\\n b&=é".to_owned()), None];
        let mut json = Template::default();
        json.push("${value.id}", Escape::Json, known).unwrap();
        assert_eq!(rendered(&json, &values).unwrap(), "a\\\"\\\\\\u000a b&=é");
        let mut form = Template::default();
        form.push("x y=${value.id}", Escape::Form, known).unwrap();
        assert_eq!(rendered(&form, &values).unwrap(), "x+y%3Da%22%5C%0A+b%26%3D%C3%A9");
    }

    #[test]
    fn mistakes_are_named() {
        let names = names();
        let known = Known { run: "r", values: &names };
        assert_eq!(Template::plain("${oops", known), Err(TemplateError::Open("${oops".to_owned())));
        assert_eq!(Template::plain("${nope}", known), Err(TemplateError::Unknown("nope".to_owned())));
        assert_eq!(
            Template::plain("${value.nope}", known).unwrap_err().to_string(),
            "no step extracts `${value.nope}`"
        );
    }
}
