use super::*;

const CONFIG: &str = r##"
global: { resolve_timeout: 5m }
route:
  receiver: default
  group_by: [alertname]
  group_wait: 1s
  group_interval: 5s
  routes:
    - receiver: canary
      matchers: [harness_canary="true"]
      group_wait: 0s
    - receiver: audit
      continue: true
      match: { team: db }
    - receiver: db
      match_re: { service: "postgres|redis" }
      mute_time_intervals: [night]
      routes:
        - receiver: db-page
          matchers: ['{severity=~"page|critical", env!=test}']
          group_wait: 250ms
    - receiver: web
      matchers: ['service = portal']
receivers:
  - name: default
    webhook_configs: [{ url: "http://r/webhook", send_resolved: true }]
  - name: canary
  - name: audit
  - name: db
  - name: db-page
  - name: web
    slack_configs: [{ channel: "#x", api_url: <secret> }]
inhibit_rules:
  - source_matchers: [alertname="PostgresDown"]
    target_match_re: { service: "api|auth" }
    equal: [namespace]
time_intervals: []
"##;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn receivers(pairs: &[(&str, &str)]) -> Vec<String> {
    Routing::parse(CONFIG)
        .unwrap()
        .route_for(&labels(pairs))
        .into_iter()
        .map(|route| route.receiver)
        .collect()
}

#[test]
fn alerts_take_the_routes_that_alertmanager_gives_them() {
    assert_eq!(receivers(&[("alertname", "X")]), ["default"]);
    assert_eq!(
        receivers(&[("harness_canary", "true"), ("team", "db")]),
        ["canary"],
        "the first match ends the search"
    );
    assert_eq!(receivers(&[("team", "db")]), ["audit"]);
    assert_eq!(receivers(&[("team", "db"), ("service", "postgres")]), ["audit", "db"]);
    assert_eq!(
        receivers(&[("team", "db"), ("service", "redis"), ("severity", "page")]),
        ["audit", "db-page"]
    );
    assert_eq!(receivers(&[("service", "redis"), ("severity", "page"), ("env", "test")]), ["db"]);
    assert_eq!(receivers(&[("service", "postgres2")]), ["default"], "anchored");
    assert_eq!(receivers(&[("service", "portal")]), ["web"]);
}

#[test]
fn times_are_inherited_and_time_intervals_are_not() {
    let routing = Routing::parse(CONFIG).unwrap();
    let page = &routing.route_for(&labels(&[("service", "redis"), ("severity", "page")]))[0];
    assert_eq!((page.group_wait, page.group_interval), (Millis(250), Millis(5000)));
    assert_eq!(page.repeat_interval, Millis::from_secs(4 * 3600), "the default");
    assert_eq!((page.group_by.clone(), page.mute_time_intervals.len()), (vec!["alertname".to_owned()], 0));
    let db = &routing.route_for(&labels(&[("service", "redis")]))[0];
    assert_eq!(db.mute_time_intervals, ["night"]);
}

#[test]
fn unknown_labels_leave_several_routes_possible() {
    let routing = Routing::parse(CONFIG).unwrap();
    let possible = |pairs: &[(&str, &str)]| {
        let open = |name: &str| name != "harness_canary" && name != "team";
        let routes = routing.possible_routes(&labels(pairs), open);
        routes.into_iter().map(|route| route.receiver).collect::<Vec<_>>()
    };
    assert_eq!(possible(&[("alertname", "X")]), ["db-page", "db", "web", "default"]);
    assert_eq!(possible(&[("service", "redis")]), ["db-page", "db"]);
    assert_eq!(possible(&[("service", "redis"), ("severity", "info")]), ["db"]);
    assert_eq!(possible(&[("service", "redis"), ("severity", "page"), ("env", "x")]), ["db-page"]);
}

#[test]
fn inhibition_is_known_by_its_target() {
    let routing = Routing::parse(CONFIG).unwrap();
    assert_eq!(routing.possible_inhibitions(&labels(&[("service", "api")]), |_| false).len(), 1);
    assert_eq!(routing.possible_inhibitions(&labels(&[("alertname", "X")]), |_| true).len(), 1);
    assert_eq!(routing.possible_inhibitions(&labels(&[("service", "web")]), |_| true).len(), 0);
}

#[test]
fn webhooks_are_listed() {
    let routing = Routing::parse(CONFIG).unwrap();
    assert_eq!(routing.webhooks("default"), ["http://r/webhook"]);
    assert_eq!(routing.webhooks("web"), [""; 0]);
    assert_eq!(routing.receivers().count(), 6);
}

#[test]
fn matchers_are_read_as_alertmanager_does() {
    let read = |text: &str| {
        parse_matchers(text)
            .map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
            .map_err(drop)
    };
    assert_eq!(read(r#"a="b""#).unwrap(), r#"a="b""#);
    assert_eq!(read(r#"{a="b, c",d!~"e|f" , g != h}"#).unwrap(), r#"a="b, c" d!~"e|f" g!="h""#);
    assert_eq!(read(r#"a=~"\d+\"x""#).unwrap(), r#"a=~"\\d+\"x""#);
    assert_eq!(read("a=").unwrap(), r#"a="""#);
    assert_eq!(read(r#"{"team.name"=~"a,b", größe = "x"}"#).unwrap(), r#"team.name=~"a,b" größe="x""#);
    for wrong in ["a", "=b", r#"a="b"#, "a b=c"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_left_empty_is_empty() {
    let yaml = "route:\n  receiver: a\n  routes:\n  group_by:\n  matchers:\n  match:\nreceivers:\n- name: a\n  webhook_configs:\ninhibit_rules:\n";
    let routing = Routing::parse(yaml).unwrap();
    assert_eq!(routing.route_for(&Labels::new())[0].receiver, "a");
}

#[test]
fn a_broken_configuration_is_an_error() {
    assert!(matches!(Routing::parse("receivers: []"), Err(RoutingError::NoRoute)));
    assert!(matches!(Routing::parse("route: [x"), Err(RoutingError::Yaml(_))));
    assert!(matches!(
        Routing::parse("route: { receiver: a, group_wait: 1x }"),
        Err(RoutingError::Duration(_))
    ));
    assert!(matches!(
        Routing::parse("route: { receiver: a, matchers: ['x'] }"),
        Err(RoutingError::Matcher(_))
    ));
}
