//! `cluster serve`: credentials, the lock of the data directory, and the end.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::{os::unix::fs::PermissionsExt, process::Command};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use program::{Program, text};

async fn client(program: &Program, change: impl FnOnce(&mut Kubeconfig)) -> Client {
    let mut kubeconfig = Kubeconfig::read_from(program.kubeconfig()).unwrap();
    change(&mut kubeconfig);
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

#[tokio::test]
async fn only_the_owner_of_the_kubeconfig_gets_in() {
    let program = Program::start();
    let mode = std::fs::metadata(program.kubeconfig()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let get = |path: &str| http::Request::get(path).body(Vec::new()).unwrap();
    let owner = client(&program, |_| {}).await;
    assert!(owner.request_text(get("/api/v1/namespaces")).await.unwrap().contains("kube-system"));

    let wrong = "0".repeat(64);
    for token in [Some(wrong.as_str()), Some(""), None] {
        let stranger = client(&program, |kubeconfig| {
            kubeconfig.auth_infos[0].auth_info.as_mut().unwrap().token =
                token.map(|token| token.to_owned().into());
        })
        .await;
        let refused = stranger.request_text(get("/api/v1/namespaces")).await.unwrap_err();
        assert!(matches!(&refused, kube::Error::Api(status) if status.code == 401), "{token:?}: {refused}");
    }

    let other = Program::start();
    let authority = Kubeconfig::read_from(other.kubeconfig()).unwrap().clusters[0].cluster.clone().unwrap();
    let deceived = client(&program, |kubeconfig| {
        let cluster = kubeconfig.clusters[0].cluster.as_mut().unwrap();
        cluster.certificate_authority_data = authority.certificate_authority_data;
    })
    .await;
    let refused = deceived.request_text(get("/api/v1/namespaces")).await;
    assert!(refused.is_err(), "a certificate of another cluster is not accepted");
}

#[test]
fn a_data_directory_serves_one_cluster_and_the_end_is_clean() {
    let program = Program::start();
    let data = program.kubeconfig().parent().unwrap().to_owned();
    let second = Command::new(env!("CARGO_BIN_EXE_cluster"))
        .arg("serve")
        .arg("--data-dir")
        .arg(&data)
        .output()
        .unwrap();
    assert!(!second.status.success());
    assert!(text(&second).contains("another cluster is running in"), "{}", text(&second));
    assert!(program.kubeconfig().exists(), "the refused one has touched nothing");

    let kubeconfig = program.kubeconfig();
    let status = program.stop();
    assert!(status.success(), "{status}");
    assert!(!kubeconfig.exists(), "the token is worth nothing any more");
}
