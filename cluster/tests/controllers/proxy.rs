//! The service proxy with real sockets.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use k8s_openapi::api::{core::v1::Service, discovery::v1::EndpointSlice};
use kube::api::DeleteParams;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::timeout,
};

use crate::fixture::{NS, SOON, World};

const PORT: u16 = 19_876;

/// A server that says its name to each connection, then echoes.
struct Backend {
    ip: Ipv4Addr,
    task: JoinHandle<()>,
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn backend(world: &World, name: &'static str) -> Backend {
    let ip = world.server.addresses().allocate_pod_ip().unwrap();
    let listener = TcpListener::bind((ip, PORT)).await.unwrap();
    let task = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.write_all(name.as_bytes()).await?;
                let (mut read, mut write) = stream.split();
                tokio::io::copy(&mut read, &mut write).await
            });
        }
    });
    Backend { ip, task }
}

fn slice(backends: &[(&Backend, bool)]) -> Value {
    let endpoint = |(backend, ready): &(&Backend, bool)| json!({ "addresses": [backend.ip.to_string()], "conditions": { "ready": ready, "serving": true, "terminating": !ready } });
    json!({
        "metadata": { "name": "web-manual", "labels": { "kubernetes.io/service-name": "web" } },
        "addressType": "IPv4",
        "ports": [{ "name": "", "port": PORT, "protocol": "TCP" }],
        "endpoints": backends.iter().map(endpoint).collect::<Vec<_>>(),
    })
}

/// A world with a proxy and a Service without selector.
async fn world() -> (World, SocketAddr) {
    let world = World::without_kubelet().await;
    let (client, addresses) = (world.client.clone(), world.server.addresses().clone());
    tokio::spawn(cluster::proxy::run(client, addresses, world.server.shutdown_token()));
    let service: Service =
        world.create(json!({ "metadata": { "name": "web" }, "spec": { "ports": [{ "port": PORT }] } })).await;
    let ip = service.spec.unwrap().cluster_ip.unwrap();
    (world, SocketAddr::new(ip.parse().unwrap(), PORT))
}

/// Connects and reads the name of the server behind.
async fn ask(address: SocketAddr) -> io::Result<(TcpStream, String)> {
    let mut stream = TcpStream::connect(address).await?;
    let mut name = [0; 3];
    stream.read_exact(&mut name).await?;
    Ok((stream, String::from_utf8(name.to_vec()).unwrap()))
}

/// Repeats until it succeeds.
async fn until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let succeeded = async {
        loop {
            if let Some(value) = attempt().await {
                return value;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, succeeded).await.unwrap_or_else(|_| panic!("not {what} within {SOON:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_go_round_the_ready_endpoints_only() {
    let (world, address) = world().await;
    assert_eq!(TcpStream::connect(address).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let (one, two, off) =
        (backend(&world, "one").await, backend(&world, "two").await, backend(&world, "off").await);
    world.create::<EndpointSlice>(slice(&[(&one, true), (&two, true), (&off, false)])).await;
    until("served", async || ask(address).await.ok()).await;
    let mut names = Vec::new();
    for _ in 0..6 {
        names.push(ask(address).await.unwrap().1);
    }
    let first = names.iter().filter(|name| *name == "one").count();
    let second = names.iter().filter(|name| *name == "two").count();
    assert_eq!((first, second), (3, 3), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_survives_unreadiness_and_is_reset_when_its_endpoint_is_gone() {
    let (world, address) = world().await;
    let (one, two) = (backend(&world, "one").await, backend(&world, "two").await);
    world.create::<EndpointSlice>(slice(&[(&one, true)])).await;
    let (mut stream, _) = until("served", async || ask(address).await.ok()).await;
    world.patch::<EndpointSlice>("web-manual", slice(&[(&one, false), (&two, true)])).await;
    until("moved to the other one", async || ask(address).await.ok().filter(|(_, name)| name == "two")).await;
    stream.write_all(b"still there").await.unwrap();
    let mut echo = [0; 11];
    stream.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"still there");
    world.patch::<EndpointSlice>("web-manual", slice(&[(&two, true)])).await;
    let end = timeout(SOON, stream.read(&mut echo)).await.expect("the connection was left open");
    assert_eq!(end.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_without_a_ready_endpoint_nor_without_the_service() {
    let (world, address) = world().await;
    let one = backend(&world, "one").await;
    let refused = async || match TcpStream::connect(address).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Some(()),
        _ => None,
    };
    world.create::<EndpointSlice>(slice(&[(&one, true)])).await;
    until("served", async || ask(address).await.ok()).await;
    world.patch::<EndpointSlice>("web-manual", slice(&[(&one, false)])).await;
    until("refused", refused).await;
    world.patch::<EndpointSlice>("web-manual", slice(&[(&one, true)])).await;
    until("served again", async || ask(address).await.ok()).await;
    world.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    until("refused", refused).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_held_gives_an_event_and_is_served_when_it_is_free() {
    let (world, _) = world().await;
    let one = backend(&world, "one").await;
    // The address is known before the Service exists.
    let ip = world.server.addresses().service_ip(NS, "held").unwrap();
    let holder = std::net::TcpListener::bind((ip, PORT)).unwrap();
    world
        .create::<Service>(json!({ "metadata": { "name": "held" }, "spec": { "ports": [{ "port": PORT }] } }))
        .await;
    let mut object = slice(&[(&one, true)]);
    object["metadata"]["labels"]["kubernetes.io/service-name"] = "held".into();
    object["metadata"]["name"] = "held".into();
    world.create::<EndpointSlice>(object).await;
    world.until_line("event ADDED Warning PortOccupied Service/held").await;
    let lines = world.lines();
    let line = lines.iter().find(|line| line.contains("PortOccupied")).unwrap();
    assert!(line.contains(&format!("of process {} (", std::process::id())), "{line}");
    drop(holder);
    until("served", async || ask(SocketAddr::new(ip.into(), PORT)).await.ok()).await;
}
