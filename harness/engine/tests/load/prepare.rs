//! Addresses and files, found before anything is touched.

use cluster::{
    api::{ApiServer, ApiServerConfig},
    net::Addresses,
};
use harness_engine::load::{PrepareError, prepare_loads};
use harness_event::{LoadBody, LoadPart, LoadSpec, LoadStart, Plan, verdict::testkit};
use k8s_openapi::{
    api::{core::v1::Service, discovery::v1::EndpointSlice},
    serde_json::{Value, from_value, json},
};
use kube::{Api, Client};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::script::{load, step};

struct Fixture {
    server: ApiServer,
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::new(ApiServerConfig {
            addresses: Addresses::claim(u64::from(std::process::id())).unwrap(),
            logs: dir.path().join("logs"),
            shutdown: CancellationToken::new(),
        });
        Self { server, dir }
    }

    fn client(&self) -> Client {
        Client::new(self.server.router(), "default")
    }

    async fn service(&self, name: &str, spec: Value) -> Service {
        let api: Api<Service> = Api::namespaced(self.client(), "default");
        let object = json!({ "metadata": { "name": name }, "spec": spec });
        api.create(&Default::default(), &from_value(object).unwrap()).await.unwrap()
    }

    async fn prepare(&self, spec: LoadSpec) -> Result<Vec<harness_engine::load::PreparedLoad>, PrepareError> {
        let plan = Plan { loads: vec![spec], ..testkit::plan() };
        prepare_loads(&plan, &self.client(), "test", self.dir.path()).await
    }

    async fn problems(&self, spec: LoadSpec) -> Vec<String> {
        match self.prepare(spec).await {
            Err(PrepareError::Problems(problems)) => problems,
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("nothing was refused"),
        }
    }
}

fn to(urls: &[&str]) -> LoadSpec {
    let steps = urls.iter().enumerate().map(|(place, url)| step(&format!("step-{place}"), url));
    LoadSpec { steps: steps.collect(), ..load("surge", LoadStart::Background) }
}

#[tokio::test]
async fn a_service_is_reached_by_its_cluster_ip() {
    let fixture = Fixture::new();
    let ports = json!([{ "name": "http", "port": 18500, "targetPort": 80 }]);
    let service = fixture.service("api", json!({ "ports": ports })).await;
    let ip = service.spec.unwrap().cluster_ip.unwrap();
    let spec = to(&["service://default/api:18500/a?b=${random}", "service://default/api:http/c"]);

    // Nobody is there.
    let Err(PrepareError::Unreachable(silent)) = fixture.prepare(spec.clone()).await else {
        panic!("prepared")
    };
    assert!(silent[0].contains("the Service has no ready endpoint"), "{silent:?}");

    // Somebody is there, but not for us: that is said, with the way out.
    let slice = json!({
        "metadata": { "name": "api-1", "labels": { "kubernetes.io/service-name": "api" } },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": ["10.9.8.7"], "conditions": { "ready": true } }],
        "ports": [{ "name": "http", "port": 80 }],
    });
    let slices: Api<EndpointSlice> = Api::namespaced(fixture.client(), "default");
    slices.create(&Default::default(), &from_value(slice).unwrap()).await.unwrap();
    let problems = fixture.problems(spec.clone()).await;
    assert_eq!(problems.len(), 2, "{problems:?}");
    for part in ["cannot be connected to from here", &ip, "NodePort"] {
        assert!(problems[0].contains(part), "{problems:?} without {part}");
    }

    let _listener = TcpListener::bind((ip.as_str(), 18500)).await.unwrap();
    let prepared = fixture.prepare(spec).await.unwrap();
    let urls: Vec<_> = prepared[0].assignment.load.steps.iter().map(|step| step.url.as_str()).collect();
    assert_eq!(urls, [format!("http://{ip}:18500/a?b=${{random}}"), format!("http://{ip}:18500/c")]);
    assert_eq!(prepared[0].addresses.len(), 2);
    assert_eq!(prepared[0].spec.steps[1].url, "service://default/api:http/c");
}

#[tokio::test]
async fn services_that_cannot_be_meant_are_refused_all_at_once() {
    let fixture = Fixture::new();
    fixture.service("image-service", json!({ "ports": [{ "name": "http", "port": 80 }] })).await;
    fixture.service("none", json!({ "clusterIP": "None", "ports": [{ "port": 80 }] })).await;
    let spec = to(&[
        "service://default/image-servce:80/",
        "service://default/image-service:8080/",
        "service://default/none:80/",
        "service://default/image-service/",
    ]);
    let problems = fixture.problems(spec).await;
    let wanted = [
        "Did you mean image-service?",
        "no TCP port 8080. It has: 80 (http)",
        "is headless",
        "must be service://",
    ];
    assert_eq!(problems.len(), wanted.len(), "{problems:?}");
    for (problem, wanted) in problems.iter().zip(wanted) {
        assert!(
            problem.contains(wanted) && problem.contains("load \"surge\""),
            "{problem:?} without {wanted:?}"
        );
    }
}

#[tokio::test]
async fn files_are_read_or_refused() {
    let fixture = Fixture::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let part = |file: &str| LoadPart {
        name: "file".into(),
        text: None,
        file: Some(file.into()),
        filename: None,
        content_type: None,
    };
    let mut spec = to(&[&url, &url]);
    spec.steps[0].body = Some(LoadBody::File("a.bin".into()));
    spec.steps[1].body = Some(LoadBody::Multipart(vec![part("cat.png"), part("a.bin")]));
    spec.ca_file = Some("ca.pem".into());
    let problems = fixture.problems(spec.clone()).await;
    assert_eq!(problems.len(), 3, "{problems:?}");
    for name in ["ca.pem", "a.bin", "cat.png"] {
        assert!(problems.iter().any(|problem| problem.contains(name)), "{problems:?} without {name}");
    }
    std::fs::write(fixture.dir.path().join("a.bin"), [0, 255]).unwrap();
    std::fs::write(fixture.dir.path().join("cat.png"), "png").unwrap();
    std::fs::write(fixture.dir.path().join("ca.pem"), "no certificate").unwrap();
    let problems = fixture.problems(spec.clone()).await;
    assert!(problems[0].contains("no certificate in PEM form"), "{problems:?}");
    let pem = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
    std::fs::write(fixture.dir.path().join("ca.pem"), pem).unwrap();
    let prepared = fixture.prepare(spec).await.unwrap();
    let assignment = &prepared[0].assignment;
    assert_eq!(assignment.files["a.bin"], "AP8=");
    assert_eq!(assignment.files.len(), 2);
    assert_eq!(assignment.ca_pem.as_deref(), Some(pem));
}

#[tokio::test]
async fn a_load_that_nothing_ends_is_refused() {
    let fixture = Fixture::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut spec = to(&[&format!("http://{}/", listener.local_addr().unwrap())]);
    spec.start = LoadStart::After(harness_event::Millis(0));
    assert!(fixture.problems(spec).await[0].contains("nothing ends it"));
}
