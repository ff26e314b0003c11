//! Replaces what looks like a secret in text that programs wrote.
//!
//! Logs of other people's programs are kept with a run, shown, and sent around with reports. What is replaced here is a guess by
//! the look of it, on the safe side: rather a harmless value too many.

mod value;

use std::{borrow::Cow, ops::Range, sync::LazyLock};

use regex::{Captures, Regex};

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Parts of names whose values are secrets.
const NAMES: &str = "passwords?|passwd|passphrase|pwd|secrets?|tokens?|api[_-]?keys?|access[_-]?keys?|private[_-]?keys?|\
                     encryption[_-]?keys?|signing[_-]?keys?|credentials?|session[_-]?ids?|sessid|jwt";
/// What stands right before `pass` and `auth` in names without separators.
const OF: &str = "db|pg|my|mysql|redis|smtp|mail|imap|ftp|ldap|user|root|admin|require|master";
/// `DB_PASS`, `smtpPass`, `requirepass`: `pass` at the end of a name, not of a word such as `bypass`.
static PASS: LazyLock<String> = LazyLock::new(|| {
    format!(r"(?:(?:[\w.-]*[._-])?(?:{OF})?pass|(?-i:[\w.-]*[a-z0-9]Pass))(?:[_-]?[0-9]{{1,2}})?")
});
/// `REDIS_AUTH`, `redisAuth`, `masterauth`, `X-Auth`. Neither `auth` alone nor `gallery-auth`: so are services called.
static AUTH: LazyLock<String> = LazyLock::new(|| {
    format!(r"(?:(?:[\w.-]*[._])?(?:{OF})auth|[\w.-]*_auth|x-auth|proxy-auth|(?-i:[\w.-]*[a-z0-9]Auth))")
});
/// Names whose values are secrets, whatever stands around them.
static SECRET: LazyLock<String> =
    LazyLock::new(|| format!(r"(?:[\w.-]*(?:{NAMES})[\w.-]*|{}|{})", *PASS, *AUTH));

/// Between a name and its value.
const SIGN: &str = r#"\\*["']?\s*(?:=>|:=|=|:)\s*"#;

fn pattern(text: &str) -> Regex {
    #[allow(clippy::expect_used, reason = "constant patterns, compiled by every test of this module")]
    Regex::new(&format!("(?i){text}")).expect("a valid pattern")
}

/// What is replaced as a whole, or but for its beginning.
static FORMS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let rule = |text: &str, with: &'static str| (pattern(text), with);
    vec![
        // Private keys on one line; those of several lines are the Redactor's.
        rule(r"(?-i)-----BEGIN [A-Z ]*PRIVATE KEY-----.*", "[redacted]"),
        rule(r"\b(bearer|basic|geniekey)\s+[A-Za-z0-9._~+/=-]{8,}", "$1 [redacted]"),
        // Cookies, to the end of the header.
        rule(r#"\b((?:set-)?cookie\\*["']?\s*[:=]\s*\\*["']?)[^"'\r\n]+"#, "${1}[redacted]"),
        // JSON Web Tokens, wherever they stand.
        rule(r"(?-i)\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?", "[redacted]"),
        // Well-known forms: AWS, GitHub, GitLab, Slack, Stripe and the like, Google.
        rule(
            r"(?-i)\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[a-z]-[A-Za-z0-9-]{10,}|(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,})",
            "[redacted]",
        ),
    ]
});

/// What stands before a value that is replaced.
static BEFORE: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // password=…, "apiToken": "…", DB_PASSWORD => …, client_secret:…
        format!(r"[\w.-]*(?:{NAMES})[\w.-]*{SIGN}"),
        // DB_PASS=…, "pass": "…", REDIS_AUTH: …, auth=…; not `auth: connection refused`.
        format!(r"\b(?:{}|{}){SIGN}", *PASS, *AUTH),
        r"\bauth\s*(?:=>|:=|=)\s*".to_owned(),
        // {"name":"DB_PASSWORD","value":"…"}, as the variables of containers are written.
        format!(
            r#"\b(?:name|key)\\*["']?\s*[:=]\s*\\*["']?{}\\*["']?\s*[,;\s]\s*\\*["']?value{SIGN}"#,
            *SECRET
        ),
        // --password …, -token …, --requirepass …
        format!(r"(?:^|\s)--?(?:[\w-]*(?:{NAMES})[\w-]*|(?:[\w-]*-)?(?:{OF})?(?:pass|auth))\s+"),
        // Directives of configuration files.
        r"\b(?:requirepass|masterauth)\s+".to_owned(),
        r"\blogin\s+\S+\s+password\s+".to_owned(),
        // password is …, identified by '…' (SQL).
        format!(r"\b(?:{NAMES}|pass)\s+is\s+"),
    ]
    .iter()
    .map(|text| pattern(text))
    .collect()
});

/// `"auth": "…"`: only before a value in quotes.
static QUOTED_AUTH: LazyLock<Regex> = LazyLock::new(|| pattern(r#"\bauth\\*["']\s*(?:=>|:)\s*"#));
/// A value whose name may come after it.
static VALUE_FIRST: LazyLock<Regex> = LazyLock::new(|| pattern(&format!(r"\bvalue{SIGN}")));
static NAME_AFTER: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(
        r#"^\s*[,;\s]\s*\\*["']?(?:name|key)\\*["']?\s*[:=]\s*\\*["']?{}(?:[\\"'\s,;}}\]]|$)"#,
        *SECRET
    ))
});
/// A password after its name, with a blank between them.
static BARE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\b(?:password|passwd|passphrase|pass|api[_-]?key)\s+"));
/// `IDENTIFIED BY '…'`, `PASSWORD '…'`, and long base64 or hexadecimal after the name of a key.
static AFTER: LazyLock<[(Regex, &str); 2]> = LazyLock::new(|| {
    [
        (pattern(r"\b(identified\s+by|password)\s+'[^']*'"), "$1 [redacted]"),
        (
            pattern(
                r"\b([\w.-]*(?:key|signature|sig|hmac|salt|nonce|cert|hash)[\w.-]*\W{1,4})[A-Za-z0-9+/_-]{20,}={0,2}",
            ),
            "${1}[redacted]",
        ),
    ]
});
static AUTHORIZATION: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(\\*["'])?\b[\w-]*authorization(\\*["'])?\s*(?:=>|:=|=|:)\s*\[?\s*"#));
static SECRET_NAME: LazyLock<Regex> = LazyLock::new(|| pattern(&format!("^(?:{}|(?:.*-)?auth)$", *SECRET)));

static USER_INFO: LazyLock<Regex> = LazyLock::new(|| {
    #[allow(clippy::expect_used, reason = "a constant pattern, compiled by every test of this module")]
    Regex::new(r#"(?i)\b([a-z][a-z0-9+.-]*://)([^\s/@"'<>:]*)(?::([^\s"'<>]*))?@"#).expect("a valid pattern")
});

/// One line without what looks like a secret.
pub fn redact(line: &str) -> String {
    let mut text = USER_INFO.replace_all(line, without_password);
    if let Some(changed) = without_authorization(&text) {
        text = Cow::Owned(changed);
    }
    for (pattern, with) in FORMS.iter() {
        if let Cow::Owned(changed) = pattern.replace_all(&text, *with) {
            text = Cow::Owned(changed);
        }
    }
    let mut mask = |before: &Regex, takes: fn(&str, Range<usize>, Range<usize>) -> bool| {
        if let Some(changed) = value::mask(&text, before, |found, value| takes(&text, found, value)) {
            text = Cow::Owned(changed);
        }
    };
    BEFORE.iter().for_each(|before| mask(before, |_, _, _| true));
    mask(&QUOTED_AUTH, |text, _, value| value::opening(&text[value]).is_some());
    mask(&VALUE_FIRST, |text, _, value| NAME_AFTER.is_match(&text[value.end..]));
    mask(&BARE, is_bare_secret);
    for (pattern, with) in AFTER.iter() {
        if let Cow::Owned(changed) = pattern.replace_all(&text, *with) {
            text = Cow::Owned(changed);
        }
    }
    text.into_owned()
}

/// True for names whose values are secrets: `DB_PASSWORD`, `SMTP_PASS`, `example.com/api-key`.
pub fn names_a_secret(name: &str) -> bool {
    SECRET_NAME.is_match(name.rsplit('/').next().unwrap_or(name))
}

/// Lines without what looks like a secret, and without control characters.
pub fn redact_lines(text: &str) -> String {
    let mut redactor = Redactor::default();
    text.lines().map(|line| redactor.line(&plain(line))).collect::<Vec<_>>().join("\n")
}

/// A value under its name: nothing of it if the name is that of a secret.
pub fn redact_named(name: &str, value: &str) -> String {
    if names_a_secret(name) && !value.is_empty() {
        return format!("{name}={REDACTED}");
    }
    redact_lines(&format!("{name}={value}"))
}

/// The words of a command line, in which a value is the word after its name or stands behind a `=`.
pub fn redact_words(words: &[String]) -> String {
    let mut shown: Vec<String> = Vec::with_capacity(words.len());
    let mut secret_follows = false;
    for word in words {
        let flag = word.trim_start_matches('-');
        let (name, value) = flag.split_once('=').map_or((flag, None), |(name, value)| (name, Some(value)));
        let secret = names_a_secret(name);
        shown.push(match value {
            _ if secret_follows => REDACTED.to_owned(),
            Some(_) if secret => format!("{}{name}={REDACTED}", &word[..word.len() - flag.len()]),
            _ => redact_lines(word),
        });
        secret_follows = !secret_follows && secret && value.is_none();
    }
    shown.join(" ")
}

/// Whole values of `Authorization`, whatever their scheme: `Authorization: Bearer …`, `"authorization": "ApiKey …"`.
fn without_authorization(text: &str) -> Option<String> {
    let (mut masked, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(found) = AUTHORIZATION.captures_at(text, at) {
        let start = found.get(0).map_or(text.len(), |whole| whole.end());
        // In its own quotes, or with its name in one pair of them, or to the end of the line.
        let around =
            found.get(1).filter(|_| found.get(2).is_none()).and_then(|open| value::opening(open.as_str()));
        let end = match (value::opening(&text[start..]), around) {
            (Some(_), _) => value::end(text, start).unwrap_or(text.len()),
            (None, Some((quote, slashes))) => {
                let end = start + value::closing(&text[start..], quote, slashes);
                // The quotes belong to what stands around.
                if text[..end].ends_with(quote) { end - 1 - slashes } else { end }
            }
            (None, None) => text.len(),
        };
        if end > start {
            masked.push_str(&text[copied..start]);
            masked.push_str(REDACTED);
            copied = end;
        }
        at = end;
    }
    (copied > 0).then(|| masked + &text[copied..])
}

/// `password s3cr3t` as a whole line, or with a word after it that no sentence has there.
fn is_bare_secret(text: &str, found: Range<usize>, value: Range<usize>) -> bool {
    let whole = text[..found.start].trim().is_empty() && text[value.end..].trim().is_empty();
    let word = text[value].trim_end_matches(['.', ':', '!', '?']);
    let is_pair = word
        .split_once('=')
        .is_some_and(|(name, value)| !name.is_empty() && !value.trim_matches('=').is_empty());
    let odd = word.chars().any(|c| c.is_ascii_digit() || "!@#$%^*+=~".contains(c));
    // The sign between a name and its value is no value.
    !word.starts_with(['=', ':']) && (whole || (odd && !is_pair))
}

/// `user:password@` of a URL. What stands after a colon may be a port and a path with an `@` in it.
fn without_password(found: &Captures<'_>) -> String {
    let (scheme, user) = (&found[1], &found[2]);
    match found.get(3).map(|password| password.as_str()) {
        Some(password) if is_port_and_path(password) => found[0].to_owned(),
        Some(_) => format!("{scheme}{user}:{REDACTED}@"),
        // A token as the user.
        None if user.len() >= 16 => format!("{scheme}{REDACTED}@"),
        None => found[0].to_owned(),
    }
}

fn is_port_and_path(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    (1..=5).contains(&digits) && text[digits..].starts_with('/')
}

/// Text without terminal escape sequences and other control characters, which would colour or clear the reader's screen.
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c.is_control() && c != '\t') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => {
                if chars.next_if_eq(&'[').is_some() {
                    // A control sequence ends with a letter or one of @ [ \ ] ^ _ ` { | } ~.
                    while chars.next_if(|c| !('\u{40}'..='\u{7e}').contains(c)).is_some() {}
                    chars.next();
                }
            }
            c if c.is_control() && c != '\t' => plain.push('\u{fffd}'),
            c => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

/// `name: DB_PASSWORD` as the whole line, whose value is in the next one.
static NAME_LINE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(&format!(r#"(?:^|[\s{{,-])["']?(?:name|key)["']?\s*:\s*["']?{}["']?\s*,?\s*$"#, *SECRET))
});
static VALUE_LINE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"^((?:.*[\s{,-])?["']?value["']?\s*:\s*)\S"#));
/// `password: |`, whose value is in the lines that follow.
static SECRET_BLOCK: LazyLock<Regex> =
    LazyLock::new(|| pattern(&format!(r#"(?:^|[\s-])["']?(?:{})["']?\s*:\s*[|>][+-]?[0-9]?\s*$"#, *SECRET)));
static BLOCK: LazyLock<Regex> = LazyLock::new(|| pattern(r":\s*[|>][+-]?[0-9]?\s*$"));

/// Lines in order, each redacted, with the secrets that go over several of them: private keys, and values of YAML and JSON.
#[derive(Debug, Default)]
pub struct Redactor {
    in_key: bool,
    /// The last line named the secret that this one holds.
    named: bool,
    /// Indentation of the key whose value are the lines that are indented more.
    block: Option<usize>,
}

impl Redactor {
    /// The next line without what looks like a secret.
    pub fn line(&mut self, line: &str) -> String {
        let named = std::mem::replace(&mut self.named, NAME_LINE.is_match(line));
        if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----") {
            self.in_key = !line.contains("-----END ");
            return redact(line);
        }
        if self.in_key {
            self.in_key = !line.contains("-----END ");
            return REDACTED.to_owned();
        }
        let indent = line.len() - line.trim_start().len();
        if self.block.is_some_and(|key| line.trim().is_empty() || indent > key) {
            return REDACTED.to_owned();
        }
        let is_value = named.then(|| VALUE_LINE.captures(line)).flatten();
        let holds_block = if is_value.is_some() { &BLOCK } else { &SECRET_BLOCK };
        self.block = holds_block.is_match(line).then_some(indent);
        if let Some(found) = is_value {
            return format!("{}{REDACTED}", &found[1]);
        }
        // The middle of a key whose beginning was cut off.
        let bare = line.trim();
        let is_base64 = |c: u8| c.is_ascii_alphanumeric() || b"+/=".contains(&c);
        if (60..=80).contains(&bare.len()) && bare.bytes().all(is_base64) {
            return REDACTED.to_owned();
        }
        redact(line)
    }
}

#[cfg(test)]
mod tests;
