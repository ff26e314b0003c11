use harness_engine::conductor::OfferedLoad;
use harness_event::{EventKind, LoadStart, Outcome};

use super::{
    fixture::{Fixture, written},
    worker::{is_alive, load},
};

async fn fixture() -> Fixture {
    let mut fixture = Fixture::new(&[]).await;
    // Something that can be connected to.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    let offered = |name: &str, start, requests, url: &str| OfferedLoad {
        spec: load(name, start, requests, url),
        directory: fixture.dir.path().to_owned(),
    };
    let loads = vec![
        offered("visitors", LoadStart::Background, None, &url),
        offered("surge", LoadStart::Background, Some(20), &url),
        offered("nowhere", LoadStart::Background, None, "http://127.0.0.1:1/"),
    ];
    fixture.loads = loads;
    fixture
}

fn finished(name: &str, why: &str) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::LoadFinished { load, reason, .. } if load == name && reason == why)
}

#[tokio::test]
async fn loads_are_started_and_stopped_by_hand() {
    let fixture = fixture().await;
    let (controls, game_day) = fixture.start();
    assert_eq!(controls.start_load("visitors").await.as_deref(), Ok("visitors"));
    assert!(controls.start_load("visitors").await.unwrap_err().contains("runs already"));
    fixture
        .fact(
            "a second of it",
            |kind| matches!(kind, EventKind::LoadSampled { load, .. } if load == "visitors"),
        )
        .await;
    controls.stop_load("visitors").await.unwrap();
    fixture.fact("its end", finished("visitors", "stopped")).await;
    fixture.in_order(&[
        &|kind| matches!(kind, EventKind::LoadRequested { spec } if spec.name == "visitors" && !spec.is_background()),
        &|kind| matches!(kind, EventKind::LoadStarted { load, .. } if load == "visitors"),
        &|kind| matches!(kind, EventKind::LoadStopped { load } if load == "visitors"),
        &finished("visitors", "stopped"),
    ]);
    // One that ends by itself, and another one of the first.
    controls.start_load("surge").await.unwrap();
    fixture.fact("its own end", finished("surge", "requests")).await;
    assert!(controls.stop_load("surge").await.is_err());
    let nowhere = controls.start_load("nowhere").await.unwrap_err();
    assert!(nowhere.contains("127.0.0.1:1"), "{nowhere}");
    assert!(controls.start_load("none").await.unwrap_err().contains("visitors, surge, nowhere"));

    assert_eq!(controls.start_load("visitors").await.as_deref(), Ok("visitors-2"));
    controls.finish().await;
    let verdict = game_day.await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Ended, "{verdict:#?}\n{}", written(&fixture.kinds()));
    assert!(!is_alive(fixture.dir.path(), "surge"));
}
