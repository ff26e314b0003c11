//! Secrets in the forms in which programs write them.

use super::*;

/// Lines with a secret `s3cr3t…` in them, in the forms in which programs write them.
const SECRETS: [&str; 61] = [
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
    "DB_PASS=s3cr3t",
    "SMTP_PASS: s3cr3t",
    "DBPASS=s3cr3t",
    "smtpPass: s3cr3t",
    r#"{"pass":"s3cr3t"}"#,
    "REDIS_AUTH=s3cr3t",
    "auth=s3cr3t",
    r#"{"auths":{"registry.example":{"auth":"s3cr3t"}}}"#,
    "Authorization: ApiKey s3cr3t",
    "Authorization: GenieKey s3cr3t-s3cr3t",
    "HTTP_AUTHORIZATION=ApiKey s3cr3t",
    r#"authorization: Digest username="app", response="s3cr3t""#,
    r#""Authorization": "ApiKey s3cr3t""#,
    r#"{"msg":"{\"Authorization\":\"ApiKey s3cr3t\"}"}"#,
    r#"{"Authorization":["ApiKey s3cr3t"]}"#,
    r#"[{"name":"DB_PASSWORD","value":"s3cr3t with blanks"}]"#,
    r#"[{"value":"s3cr3t with blanks","name":"DB_PASSWORD"}]"#,
    r#"{"env":"[{\"name\":\"DB_PASS\",\"value\":\"s3cr3t with blanks\"}]"}"#,
    "env: [{name: REDIS_AUTH, value: s3cr3t}]",
    r#"{"password":"ab\"s3cr3t"}"#,
    r#"{"msg":"{\"password\":\"ab\\\"s3cr3t\"}"}"#,
    r#"{"password":"s3cr3t with blanks"#,
    r"password='ab\'s3cr3t'",
    "requirepass s3cr3t",
    "masterauth s3cr3t",
    "password s3cr3t",
    "redis-server --requirepass s3cr3t",
];

#[test]
fn what_looks_like_a_secret_is_replaced() {
    for line in SECRETS {
        let redacted = redact(line);
        let left =
            ["s3cr3t", "czNjcjN0", "with blanks", "escapes"].iter().find(|part| redacted.contains(**part));
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
        "author=jane authority=none passed=3 bypass=yes compass: north passenger=1",
        "auth: DB_HOST: is not set; gallery-auth: 1 of 2 ready; service \"auth\": not found",
        "wrong password for user app, password can't be empty, password user=app",
        r#"{"name":"LEVEL","value":"info"},{"name":"auth","value":"3"}"#,
    ] {
        assert_eq!(redact(line), line);
    }
}

#[test]
fn what_stands_around_a_secret_stays() {
    assert_eq!(redact(r#"{"password":"s3cr3t","user":"app"}"#), r#"{"password":[redacted],"user":"app"}"#);
    assert_eq!(redact("postgres://app:x@db:5432/g"), "postgres://app:[redacted]@db:5432/g");
    assert_eq!(redact("GET /?token=x&next=/a 200"), "GET /?token=[redacted]&next=/a 200");
    for (line, shown) in [
        (
            r#"curl -H "Authorization: ApiKey x" http://h/"#,
            r#"curl -H "Authorization: [redacted]" http://h/"#,
        ),
        (r#"{"authorization":"ApiKey x y","status":200}"#, r#"{"authorization":[redacted],"status":200}"#),
        (
            r#"{"m":"{\"password\":\"a\\\"b\",\"n\":1}","x":2}"#,
            r#"{"m":"{\"password\":[redacted],\"n\":1}","x":2}"#,
        ),
        (r#"json = { password = "correct horse", n = 1 }"#, "json = { password = [redacted], n = 1 }"),
        ("password =x", "password =[redacted]"),
        (r#"{"password":"a\\","user":"app"}"#, r#"{"password":[redacted],"user":"app"}"#),
        (
            r#"{"value":"info","name":"LEVEL"},{"value":"x","name":"TOKEN"}"#,
            r#"{"value":"info","name":"LEVEL"},{"value":[redacted],"name":"TOKEN"}"#,
        ),
    ] {
        assert_eq!(redact(line), shown);
    }
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

#[test]
fn a_value_on_the_line_after_its_name_is_replaced() {
    let yaml = "\
env:
- name: DB_PASSWORD
  value: s3cr3t with blanks
- name: LEVEL
  value: info
- name: \"SMTP_PASS\"
  value: |
    s3cr3t

    s3cr3t
- name: LAST
  value: x
password: >-
  s3cr3t
user: app";
    let shown = "\
env:
- name: DB_PASSWORD
  value: [redacted]
- name: LEVEL
  value: info
- name: \"SMTP_PASS\"
  value: [redacted]
[redacted]
[redacted]
[redacted]
- name: LAST
  value: x
password: [redacted]
[redacted]
user: app";
    assert_eq!(redact_lines(yaml), shown);
    let json = "{\n  \"name\": \"DB_PASSWORD\",\n  \"value\": \"s3cr3t\"\n}";
    assert_eq!(redact_lines(json), "{\n  \"name\": \"DB_PASSWORD\",\n  \"value\": [redacted]\n}");
    // Only the next line.
    assert_eq!(redact_lines("name: DB_PASSWORD\nx\nvalue: y"), "name: DB_PASSWORD\nx\nvalue: y");
}

#[test]
fn the_value_of_a_secret_name_is_replaced_as_a_whole() {
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEs3cr3t\n-----END RSA PRIVATE KEY-----";
    for (name, value, shown) in [
        ("DB_PASSWORD", "correct horse\nbattery", "DB_PASSWORD=[redacted]"),
        ("example.com/auth", "a b", "example.com/auth=[redacted]"),
        ("TLS", key, "TLS=[redacted]\n[redacted]\n[redacted]"),
        ("TOKEN", "", "TOKEN="),
        ("AUTHOR", "jane", "AUTHOR=jane"),
        ("PATH", "/bin:/usr/bin", "PATH=/bin:/usr/bin"),
    ] {
        assert_eq!(redact_named(name, value), shown);
    }
}

#[test]
fn a_command_line_keeps_its_words_but_not_its_secrets() {
    let words = |words: &[&str]| redact_words(&words.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(
        words(&["web", "--db-password", "correct horse", "--port", "80"]),
        "web --db-password [redacted] --port 80"
    );
    assert_eq!(words(&["web", "--db-pass=correct horse", "x"]), "web --db-pass=[redacted] x");
    assert_eq!(words(&["redis-server", "--requirepass", "a b"]), "redis-server --requirepass [redacted]");
    assert_eq!(
        words(&["curl", "-H", "Authorization: ApiKey x", "http://h/"]),
        "curl -H Authorization: [redacted] http://h/"
    );
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
    fn a_named_secret_never_survives(before in "[a-z ]{0,20}", name in "(DB_)?(password|secret|token|api_key)(_x)?|(db_|SMTP_)?pass|[a-z]{1,3}_auth",
                                     sign in "( ?= ?|: ?)", secret in "Zq9[A-Za-z0-9!#$%^*+/]{6,30}", after in "( [a-z=]{0,20})?") {
        let line = format!("{before} {name}{sign}{secret}{after}");
        proptest::prop_assert!(!redact(&line).contains(&secret), "{line:?} became {:?}", redact(&line));
    }
}
