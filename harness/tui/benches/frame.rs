//! What the view may cost, on a large cluster: `cargo bench -p harness-tui --bench frame`. Prints a table, and fails if a bar is missed.

use std::{
    fs,
    io::{self, Sink},
    process::ExitCode,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use harness_event::{Event, EventKind, Labels, Millis, ObservedPod, PodUsage, verdict::testkit::START};
use harness_tui::{
    Options, PROMPT,
    app::{App, View},
    channel, draw, drive,
    mailbox::Message,
};
use ratatui::{Terminal, TerminalOptions, Viewport, backend::CrosstermBackend, layout::Rect};

#[path = "../examples/script/mod.rs"]
#[allow(dead_code, missing_docs, reason = "shared with tests and the example")]
mod script;

const PODS: usize = 5_000;
const ALERTS: usize = 200;
const FRAME: Duration = Duration::from_millis(5);
const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 50)];

fn main() -> ExitCode {
    let mut table = Table::default();
    let before = memory("VmRSS");
    let mut app = App::new(&Options::default());
    let mut seq = 0;
    large(|event| {
        seq = event.seq + 1;
        app.update(Message::Tick(event.elapsed.to_duration()));
        app.update(Message::Event(Box::new(event)));
    });
    app.prepare();
    let (pods, alerts) = (app.index.pods.len(), app.index.alerts.len());
    assert!(pods >= PODS && alerts >= ALERTS, "{pods} pods, {alerts} alerts: nothing worth to be measured");
    println!("{pods} pods, {alerts} alerts, {} lines of log\n", app.state.log.len());
    frames(&mut app, seq, &mut table);
    table.row(
        "memory of the process",
        &format!("{} MB ({before} MB before)", memory("VmRSS")),
        "80 MB",
        memory("VmRSS") < 80,
    );

    app.ui.paused = None;
    let pressed = Instant::now();
    let held = KeyEvent::new_with_kind(KeyCode::Down, KeyModifiers::NONE, KeyEventKind::Repeat);
    app.ui.view = View::Pods;
    for _ in 0..10_000 {
        app.update(Message::Key(held));
    }
    app.prepare();
    let took = pressed.elapsed();
    table.row("10,000 repeats of a key", &ms(took), "50 ms", took < Duration::from_millis(50));

    drop(app);
    at_rest(&mut table);
    promptness(&mut table);
    flood(&mut table);
    table.print()
}

/// Frames of every view, with everything stale, and with nothing stale.
fn frames(app: &mut App, mut seq: u64, table: &mut Table) {
    for view in View::ALL {
        for (width, height) in SIZES {
            app.ui.view = view;
            let mut terminal = screen(width, height);
            let (mut stale, mut fresh) = (Vec::new(), Vec::new());
            for round in 0..60 {
                let mut tell = |kind| {
                    let elapsed = app.state.elapsed + Millis(50);
                    let event = Event { seq, at: START + elapsed, elapsed, kind };
                    seq += 1;
                    app.update(Message::Event(Box::new(event)));
                };
                // What makes every list stale.
                tell(usage(round));
                tell(alert(0, if round % 2 == 0 { "pending" } else { "firing" }));
                let started = Instant::now();
                draw(&mut terminal, app).expect("a sink takes everything");
                stale.push(started.elapsed());
                let started = Instant::now();
                draw(&mut terminal, app).expect("a sink takes everything");
                fresh.push(started.elapsed());
            }
            let [stale, slow] = [50, 95].map(|part| percentile(&mut stale, part));
            let fresh = percentile(&mut fresh, 50);
            let what = format!("frame of {} at {width}x{height}", view.name());
            let measured = format!("{} after changes (95 %: {}), {} without", ms(stale), ms(slow), ms(fresh));
            table.row(&what, &measured, "5 ms", stale < FRAME && fresh < FRAME);
        }
    }
}

/// The bar is for the median: a busy machine takes the processor away for longer than a frame. The 95th percentile is shown.
fn percentile(times: &mut [Duration], part: usize) -> Duration {
    times.sort();
    times.get(times.len() * part / 100).copied().unwrap_or(Duration::MAX)
}

fn screen(width: u16, height: u16) -> Terminal<CrosstermBackend<Sink>> {
    let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, width, height)) };
    Terminal::with_options(CrosstermBackend::new(io::sink()), options)
        .expect("a sink is a terminal of fixed size")
}

/// The loop with nothing to do.
fn at_rest(table: &mut Table) {
    let (sender, feed) = channel();
    large(|event| sender.event(event));
    let length = Duration::from_secs(6);
    let view = thread::spawn(move || {
        let mut terminal = screen(120, 40);
        let started = Instant::now();
        let mut busy = None;
        let draws = drive(&Options::default(), &feed, drop, |app| {
            draw(&mut terminal, app)?;
            // What came before is taken in by then.
            if started.elapsed() > Duration::from_secs(2) && busy.is_none() {
                busy = Some((Instant::now(), processor_time()));
            }
            let over = busy.is_some_and(|(since, _)| since.elapsed() > length);
            Ok((!over).then_some(()))
        });
        draws.map(|_| busy.map(|(since, time)| (since.elapsed(), processor_time() - time)))
    });
    let measured = view.join().expect("the view does not panic").expect("a sink takes everything");
    drop(sender);
    let (length, used) = measured.expect("the view drew");
    let share = used.as_secs_f64() / length.as_secs_f64() * 100.0;
    table.row("processor at rest", &format!("{share:.1} % of a core"), "5 %", share < 5.0);
}

/// From `Sender::event` to the end of the frame that shows it, beside a thousand other events a second.
fn promptness(table: &mut Table) {
    let (sender, feed) = channel();
    large(|event| sender.event(event));
    let sent: Arc<Mutex<Option<(u64, Instant)>>> = Arc::default();
    let over = Arc::new(AtomicBool::new(false));
    let (asked, ended) = (Arc::clone(&sent), Arc::clone(&over));
    let view = thread::spawn(move || {
        let mut terminal = screen(120, 40);
        let mut delays = Vec::new();
        let ended = drive(&Options::default(), &feed, drop, |app| {
            draw(&mut terminal, app)?;
            let mut asked = asked.lock().expect("nobody panics");
            if let Some((number, at)) = *asked
                && app.state.events >= number
            {
                delays.push(at.elapsed());
                *asked = None;
            }
            Ok((!ended.load(Ordering::Relaxed)).then_some(()))
        });
        ended.map(|_| delays)
    });
    let mut number = 0;
    large(|_| number += 1);
    thread::sleep(Duration::from_secs(1));
    let mut seq = number;
    let until = Instant::now() + Duration::from_secs(6);
    let mut next = Instant::now();
    while Instant::now() < until {
        let elapsed = Millis(70_000 + seq as i64);
        sender.event(Event { seq, at: START + elapsed, elapsed, kind: pod(seq as usize % PODS, "Running") });
        seq += 1;
        if Instant::now() >= next {
            let mut sent = sent.lock().expect("nobody panics");
            if sent.is_none() {
                *sent = Some((seq, Instant::now()));
            }
            next += Duration::from_millis(77);
        }
        thread::sleep(Duration::from_millis(1));
    }
    over.store(true, Ordering::Relaxed);
    let mut delays = view.join().expect("the view does not panic").expect("a sink takes everything");
    let worst = delays.iter().max().copied().unwrap_or(Duration::MAX);
    let what = format!("event to screen ({} tries)", delays.len());
    let measured = format!("{} at worst, {} (95 %)", ms(worst), ms(percentile(&mut delays, 95)));
    table.row(&what, &measured, "100 ms", worst < PROMPT);
}

/// How many events a second are taken in when they come as fast as they can.
fn flood(table: &mut Table) {
    let mut events = Vec::new();
    large(|event| events.push(event));
    let many = events.len();
    let mut app = App::new(&Options::default());
    let started = Instant::now();
    for event in events {
        app.update(Message::Event(Box::new(event)));
    }
    let rate = many as f64 / started.elapsed().as_secs_f64();
    table.row("events taken in", &format!("{rate:.0} a second"), "20,000", rate > 20_000.0);
}

/// The scripted run in a large cluster, with a full log.
fn large(mut tell: impl FnMut(Event)) {
    let mut seq = 0;
    let mut next = |elapsed: Millis, kind| {
        tell(Event { seq, at: START + elapsed, elapsed, kind });
        seq += 1;
    };
    let script = script::until(60_000);
    let last = script.last().map_or(Millis(0), |event| event.elapsed);
    script.into_iter().for_each(|event| next(event.elapsed, event.kind));
    for place in 0..PODS {
        let status = ["Running", "Running", "Running", "Running", "CrashLoopBackOff", "Pending"][place % 6];
        next(last, pod(place, status));
    }
    for place in 0..ALERTS {
        next(last, alert(place, ["pending", "firing"][place % 2]));
    }
    for round in 0..60 {
        next(last + Millis(round * 100), usage(round));
    }
    for line in 0..6_000 {
        let text =
            format!("something that was worth a line of the log, number {line}, as long as such lines are");
        next(last + Millis(6_000), EventKind::Note { text });
    }
}

fn name(place: usize) -> String {
    format!("service-{:03}-7d4b9c{:04x}-x{:04}", place % 137, place * 7 % 65_536, place)
}

fn pod(place: usize, status: &str) -> EventKind {
    let ready = status == "Running";
    EventKind::PodObserved(ObservedPod {
        namespace: format!("team-{:02}", place % 20),
        pod: name(place),
        status: status.into(),
        ready,
        restarts: (place % 5) as i32,
        gone: false,
        ready_containers: u32::from(ready),
        containers: 1,
        owner: Some(format!("deployment/service-{:03}", place % 137)),
        node: Some(format!("node-{:03}", place % 150)),
        created_at: Some(START - Millis::from_secs(place as i64)),
        message: None,
    })
}

fn usage(round: i64) -> EventKind {
    let of = |place: usize| PodUsage {
        namespace: format!("team-{:02}", place % 20),
        pod: name(place),
        cpu_millicores: (place as u64 * 31 + round as u64 * 17) % 2_000,
        memory_bytes: (place as u64 % 900) << 20,
    };
    EventKind::PodsMeasured { sampled_at: START, pods: (0..PODS).map(of).collect() }
}

fn alert(place: usize, state: &str) -> EventKind {
    let labels = [
        ("alertname", format!("SomethingIsWrong{:02}", place % 40)),
        ("cluster", "large".to_owned()),
        ("namespace", format!("team-{:02}", place % 20)),
        ("pod", name(place)),
        ("severity", "page".to_owned()),
    ];
    let labels: Labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    EventKind::AlertSeen { labels, state: state.into(), active_at: None, value: Some("1".into()) }
}

/// Of this process, in megabytes.
fn memory(which: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(which)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// Of this process, in hundredths of a second: proc(5), fields 14 and 15 of `stat`.
fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 =
        fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

#[derive(Default)]
struct Table {
    rows: Vec<(String, String, String, bool)>,
}

impl Table {
    fn row(&mut self, what: &str, measured: &str, bar: &str, ok: bool) {
        println!("{:6} {what:34} {measured:58} bar {bar}", if ok { "ok" } else { "MISSED" });
        self.rows.push((what.to_owned(), measured.to_owned(), bar.to_owned(), ok));
    }

    fn print(self) -> ExitCode {
        let missed = self.rows.iter().filter(|(.., ok)| !ok).count();
        println!("\n{} measurements, {missed} missed", self.rows.len());
        if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
