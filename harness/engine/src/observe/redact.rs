//! Replaces what looks like a secret in text that programs wrote.
//!
//! Logs of other people's programs are kept with a run, shown, and sent around with reports. What is replaced here is a guess by
//! the look of it, on the safe side: rather a harmless value too many.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Parts of names whose values are secrets.
const NAMES: &str = "passwords?|passwd|passphrase|pwd|secrets?|tokens?|api[_-]?keys?|access[_-]?keys?|private[_-]?keys?|\
                     encryption[_-]?keys?|signing[_-]?keys?|credentials?|session[_-]?ids?|sessid|jwt";

/// A value: in quotes (also escaped ones, as in JSON inside JSON), or up to the next blank or separator.
const VALUE: &str = r#"\\*"(?:[^"\\]|\\[^"])*\\*"|'[^']*'|[^\s,;&"'\])}]+"#;

static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    #[allow(clippy::expect_used, reason = "constant patterns, compiled by every test of this module")]
    let rule = |pattern: String, with: &'static str| (Regex::new(&pattern).expect("a valid pattern"), with);
    vec![
        // Private keys on one line; those of several lines are [`redact_lines`]'s.
        rule(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*".to_owned(), "[redacted]"),
        // Authorization: Bearer …, "authorization":"Basic …".
        rule(
            r#"(?i)\b((?:proxy-)?authorization\b\\*["']?\s*[:=]\s*\\*["']?)(?:(bearer|basic|digest|token|negotiate)\s+)?[^\s"',;\\]+"#
                .to_owned(),
            "${1}${2} [redacted]",
        ),
        rule(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}".to_owned(), "$1 [redacted]"),
        // Cookies, to the end of the header.
        rule(r#"(?i)\b((?:set-)?cookie\\*["']?\s*[:=]\s*\\*["']?)[^"'\r\n]+"#.to_owned(), "${1}[redacted]"),
        // JSON Web Tokens, wherever they stand.
        rule(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?".to_owned(), "[redacted]"),
        // Well-known forms: AWS, GitHub, GitLab, Slack, Stripe and the like, Google.
        rule(
            r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|xox[a-z]-[A-Za-z0-9-]{10,}|(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}|AIza[A-Za-z0-9_-]{30,})"
                .to_owned(),
            "[redacted]",
        ),
        // password=…, "apiToken": "…", DB_PASSWORD => …, client_secret:…
        rule(
            format!(r#"(?i)([\w.-]*(?:{NAMES})[\w.-]*\\*["']?\s*(?:=>|:=|=|:)\s*)(?:{VALUE})"#),
            "${1}[redacted]",
        ),
        // --password …, -token …
        rule(format!(r#"(?i)(\s--?[\w-]*(?:{NAMES})[\w-]*\s+)(?:{VALUE})"#), "${1}[redacted]"),
        // password is …, identified by '…' (SQL).
        rule(format!(r#"(?i)\b((?:{NAMES})\s+is\s+)(?:{VALUE})"#), "${1}[redacted]"),
        rule(r"(?i)\b(identified\s+by|password)\s+'[^']*'".to_owned(), "$1 [redacted]"),
        // Long base64 or hexadecimal after the name of a key.
        rule(
            r#"(?i)\b([\w.-]*(?:key|signature|sig|hmac|salt|nonce|cert|hash)[\w.-]*\W{1,4})[A-Za-z0-9+/_-]{20,}={0,2}"#
                .to_owned(),
            "${1}[redacted]",
        ),
    ]
});

static USER_INFO: LazyLock<Regex> = LazyLock::new(|| {
    #[allow(clippy::expect_used, reason = "a constant pattern, compiled by every test of this module")]
    Regex::new(r#"(?i)\b([a-z][a-z0-9+.-]*://)([^\s/@"'<>:]*)(?::([^\s"'<>]*))?@"#).expect("a valid pattern")
});

/// One line without what looks like a secret.
pub fn redact(line: &str) -> String {
    let mut text = USER_INFO.replace_all(line, without_password);
    for (pattern, with) in RULES.iter() {
        if let Cow::Owned(changed) = pattern.replace_all(&text, *with) {
            text = Cow::Owned(changed);
        }
    }
    text.into_owned()
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

/// Lines in order, each redacted, with the private keys that go over several of them.
#[derive(Debug, Default)]
pub struct Redactor {
    in_key: bool,
}

impl Redactor {
    /// The next line without what looks like a secret.
    pub fn line(&mut self, line: &str) -> String {
        if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----") {
            self.in_key = !line.contains("-----END ");
            return redact(line);
        }
        if self.in_key {
            self.in_key = !line.contains("-----END ");
            return REDACTED.to_owned();
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
mod tests {
    use super::*;

    /// Lines with a secret `s3cr3t…` in them, in the forms in which programs write them.
    const SECRETS: [&str; 34] = [
        "password=s3cr3t",
        "PASSWORD = s3cr3t",
        "db.password: s3cr3t, retrying",
        "connecting with user=app password='s3cr3t with blanks' host=db",
        r#"{"level":"info","password":"s3cr3t","user":"app"}"#,
        r#"{"msg":"{\"api_key\":\"s3cr3t\"}"}"#,
        r#"{"password":"s3cr3t\\with \\n escapes"}"#,
        "POSTGRES_PASSWORD=s3cr3t",
        "client_secret=s3cr3t&grant_type=client_credentials",
        "GET /login?token=s3cr3t&next=/ 200",
        "apiKey => s3cr3t",
        "api-key:s3cr3t",
        "access_key=s3cr3t",
        "X-Auth-Token: s3cr3t",
        "refresh_token=s3cr3t",
        "Authorization: Bearer s3cr3t.s3cr3t-s3cr3t",
        "authorization=s3cr3ts3cr3t",
        r#""Authorization":"Basic czNjcjN0OnMzY3IzdA""#,
        "using bearer s3cr3ts3cr3t for the call",
        "Cookie: session=s3cr3t; theme=dark",
        "Set-Cookie: sid=s3cr3t; Path=/; HttpOnly",
        "postgres://app:s3cr3t@db:5432/gallery",
        "redis://:s3cr3t@redis:6379/0",
        "amqp://user:s3cr3t/with@slash@mq:5672",
        "https://s3cr3ts3cr3ts3cr3t@github.com/x/y",
        "starting with --password s3cr3t --port 80",
        "jdbc:postgresql://db/gallery?user=app&password=s3cr3t",
        "ALTER USER app WITH PASSWORD 's3cr3t'",
        "CREATE USER app IDENTIFIED BY 's3cr3t'",
        "your password is s3cr3t",
        "sessionId=s3cr3t",
        "signature s3cr3ts3cr3ts3cr3ts3cr3t",
        "encryption key 's3cr3ts3cr3ts3cr3ts3cr3t='",
        "-----BEGIN PRIVATE KEY-----s3cr3t",
    ];

    #[test]
    fn what_looks_like_a_secret_is_replaced() {
        for line in SECRETS {
            let redacted = redact(line);
            let left = ["s3cr3t", "czNjcjN0", "with blanks", "escapes"]
                .iter()
                .find(|part| redacted.contains(**part));
            assert_eq!(left, None, "{line:?} became {redacted:?}");
            assert!(redacted.contains(REDACTED), "{line:?} became {redacted:?}");
        }
    }

    #[test]
    fn well_known_forms_are_found_without_a_name() {
        for secret in [
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "xoxb-123456789012-abcdefghij",
        ] {
            assert_eq!(
                redact(&format!("got {secret} from the caller")),
                format!("got {REDACTED} from the caller")
            );
        }
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for line in [
            "",
            "2026/11/21 10:00:00 listening on http://127.0.0.1:18080/",
            "GET /images/1 200 12ms trace_id=4bf92f3577b34da6a3ce929d0e0e4736",
            "FATAL: password authentication failed for user \"app\"",
            "FATAL: the database system is shutting down",
            "GET http://portal:18080/users?mail=a@b.example 404",
            "pulled image sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "reading ssh://git@host/repo",
            "level=warn msg=\"connection refused\" host=postgres port=15432",
            "Größe: 12 Öffnungen — naïve",
        ] {
            assert_eq!(redact(line), line);
        }
    }

    #[test]
    fn what_stands_around_a_secret_stays() {
        assert_eq!(
            redact(r#"{"password":"s3cr3t","user":"app"}"#),
            r#"{"password":[redacted],"user":"app"}"#
        );
        assert_eq!(redact("postgres://app:x@db:5432/g"), "postgres://app:[redacted]@db:5432/g");
        assert_eq!(redact("GET /?token=x&next=/a 200"), "GET /?token=[redacted]&next=/a 200");
    }

    #[test]
    fn text_cannot_command_a_terminal() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m \u{1b}[2J\u{7}\tx"), "red \u{fffd}\tx");
        assert_eq!(plain("as it is: ä"), "as it is: ä");
        assert_eq!(plain("\u{1b}"), "");
    }

    #[test]
    fn a_private_key_over_several_lines_is_replaced() {
        let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        let mut redactor = Redactor::default();
        let lines =
            ["a", "-----BEGIN RSA PRIVATE KEY-----", body, "short==", "-----END RSA PRIVATE KEY-----", "b"];
        let seen: Vec<String> = lines.iter().map(|line| redactor.line(line)).collect();
        assert_eq!(seen, ["a", REDACTED, REDACTED, REDACTED, REDACTED, "b"]);
        // Its beginning is older than what was read.
        assert_eq!(Redactor::default().line(body), REDACTED);
    }

    proptest::proptest! {
        /// Whatever programs write: no panic, and what was redacted once does not change any more in a way that shows more.
        #[test]
        fn any_line_can_be_redacted(line in ".*") {
            let once = redact(&line);
            let twice = redact(&once);
            proptest::prop_assert!(twice.matches(REDACTED).count() >= usize::from(once.contains(REDACTED)));
        }

        #[test]
        fn a_named_secret_never_survives(before in "[a-z ]{0,20}", name in "(DB_)?(password|secret|token|api_key)(_x)?",
                                         sign in "( ?= ?|: ?)", secret in "Zq9[A-Za-z0-9!#$%^*+/]{6,30}", after in "( [a-z=]{0,20})?") {
            let line = format!("{before} {name}{sign}{secret}{after}");
            proptest::prop_assert!(!redact(&line).contains(&secret), "{line:?} became {:?}", redact(&line));
        }
    }
}
