//! What a game day refuses before it touches anything.

mod common;

use std::fs;

use common::Place;

#[test]
fn without_a_terminal_it_wants_a_script() {
    let ran = Place::new().run(&["gameday"]).expect(2);
    assert!(ran.err.contains("needs a terminal"), "{ran:?}");
    assert!(ran.err.contains("--script FILE"), "{ran:?}");
}

#[test]
fn every_problem_of_a_script_is_said_at_once_and_nothing_is_started() {
    let place = Place::new();
    let script = place.path().join("drill.txt");
    fs::write(&script, "# fine\ninject scale deployment=db replicas=none duration=10s\nexplode\n").unwrap();
    let ran = place.run(&["gameday", "--script", script.to_str().unwrap()]).expect(2);
    for part in ["drill.txt:2: ", "expected an integer", "drill.txt:3: there is no command \"explode\""] {
        assert!(ran.err.contains(part), "{part}: {ran:?}");
    }
    assert!(!place.path().join("state").exists(), "nothing was started");
    place.run(&["gameday", "--view", "tui", "--script", script.to_str().unwrap()]).expect(2);
}

#[test]
fn a_cluster_that_is_not_there_is_no_place_for_it() {
    let place = Place::new();
    let kubeconfig = place.path().join("kubeconfig");
    let text = "apiVersion: v1\nkind: Config\ncurrent-context: gone\nclusters: [{ name: gone, cluster: { server: \"http://127.0.0.1:1\" } }]\n\
                contexts: [{ name: gone, context: { cluster: gone, user: nobody, namespace: shop } }]\nusers: [{ name: nobody, user: {} }]\n";
    fs::write(&kubeconfig, text).unwrap();
    let script = place.path().join("drill.txt");
    fs::write(&script, "note never\n").unwrap();
    let (kubeconfig, script) = (kubeconfig.to_str().unwrap(), script.to_str().unwrap());
    let ran = place.run(&["--kubeconfig", kubeconfig, "gameday", "--script", script]).expect(4);
    assert!(ran.err.contains("127.0.0.1:1"), "{ran:?}");
}

#[test]
fn a_load_that_is_named_twice_is_no_choice() {
    let place = Place::new();
    let load = |name: &str| {
        let path = place.path().join(name);
        let text = "title = \"t\"\nnamespace = \"n\"\n[[load]]\nname = \"users\"\nduration = \"10s\"\nusers = 1\n\
                    [[load.step]]\nname = \"page\"\nurl = \"http://x/\"\n[expect]\n[[expect.load]]\nload = \"users\"\nrequests = \">= 1\"\n";
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let script = place.path().join("drill.txt");
    fs::write(&script, "finish\n").unwrap();
    let ran = place
        .run(&["gameday", "--script", script.to_str().unwrap(), "--loads", &load("a.toml"), &load("b.toml")])
        .expect(2);
    assert!(ran.err.contains("load \"users\" is in"), "{ran:?}");
}

#[test]
fn a_run_that_is_not_there_cannot_be_exported() {
    let ran = Place::new().run(&["export-scenario", "last"]).expect(2);
    assert!(ran.err.contains("there is no run"), "{ran:?}");
}
