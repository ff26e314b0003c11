//! Loopback addresses of one cluster.
//!
//! Every cluster claims one loopback /16, `127.A.0.0/16`, by binding a lock socket in it; the kernel frees the claim when
//! the process ends, however it ends. Inside, pods get `127.A.1.1` to `127.A.119.254` and Services `127.A.128.1` to
//! `127.A.250.254`. Linux routes all of `127.0.0.0/8` to `lo`, so no privilege and no set-up is needed.

use std::{
    collections::{HashMap, HashSet},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

/// Port of the lock socket on `127.A.0.1`: outside the ephemeral range, used by nothing well known.
const LOCK_PORT: u16 = 27_431;
/// Second octets that clusters may claim.
const FIRST_OCTET: u8 = 64;
const LAST_OCTET: u8 = 250;

/// Why no address could be given.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// Every /16 is taken, or something holds the lock port on all addresses.
    #[error(
        "no free loopback network: port {LOCK_PORT} could not be bound on any of 127.{FIRST_OCTET}-{LAST_OCTET}.0.1"
    )]
    NoNetwork(#[source] std::io::Error),
    /// The range is used up.
    #[error("no free {0} address is left in this cluster's loopback network")]
    Exhausted(&'static str),
}

/// The claimed network and the addresses handed out in it. Cheap to clone; clones share the state.
#[derive(Clone, Debug)]
pub struct Addresses {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    octet: u8,
    state: Mutex<State>,
    // Held for its side effect: while it is bound, no other cluster claims this network.
    _lock: TcpListener,
}

#[derive(Debug, Default)]
struct State {
    services: HashMap<(String, String), Ipv4Addr>,
    service_ips: HashSet<Ipv4Addr>,
    pods: HashSet<Ipv4Addr>,
    next_pod: u32,
}

impl Addresses {
    /// Claims a free loopback network, starting the search at an octet derived from `seed` so that clusters on one machine
    /// rarely try the same one.
    pub fn claim(seed: u64) -> Result<Self, NetError> {
        let span = u64::from(LAST_OCTET - FIRST_OCTET) + 1;
        let mut last = std::io::Error::other("no address tried");
        for step in 0..span {
            let octet = FIRST_OCTET + ((seed + step) % span) as u8;
            match TcpListener::bind((Ipv4Addr::new(127, octet, 0, 1), LOCK_PORT)) {
                Ok(lock) => {
                    let inner = Inner { octet, state: Mutex::default(), _lock: lock };
                    return Ok(Self { inner: Arc::new(inner) });
                }
                Err(error) => last = error,
            }
        }
        Err(NetError::NoNetwork(last))
    }

    /// Address of the API server and of other control plane listeners: `127.A.0.1`.
    pub fn control_plane_ip(&self) -> Ipv4Addr {
        Ipv4Addr::new(127, self.inner.octet, 0, 1)
    }

    /// Address of the service discovery adapter; its Service leads here.
    pub fn service_discovery(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(127, self.inner.octet, 0, 2), crate::sd::PORT))
    }

    /// Address of kube-state-metrics; its Service leads here.
    pub fn state_metrics(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::new(127, self.inner.octet, 0, 3), crate::metrics::state::PORT))
    }

    /// Where the kubelet serves its metrics.
    pub fn kubelet(&self) -> SocketAddr {
        SocketAddr::from((self.node_ip(), crate::kubelet::PORT))
    }

    /// The node's address; the same as the control plane's.
    pub fn node_ip(&self) -> Ipv4Addr {
        self.control_plane_ip()
    }

    /// Pod network in CIDR notation, as `spec.podCIDR` of the node.
    pub fn pod_cidr(&self) -> String {
        format!("127.{}.0.0/17", self.inner.octet)
    }

    /// True if the address lies in this cluster's network.
    pub fn contains(&self, address: SocketAddr) -> bool {
        matches!(address.ip(), IpAddr::V4(ip) if ip.octets()[..2] == [127, self.inner.octet])
    }

    /// ClusterIP of a Service. The same name always gets the same address, also before the Service exists, so that a name in
    /// a manifest can be mapped before its Service is applied.
    pub fn service_ip(&self, namespace: &str, name: &str) -> Result<Ipv4Addr, NetError> {
        const SPAN: u64 = 122 * 254;
        let mut state = self.lock();
        let key = (namespace.to_owned(), name.to_owned());
        if let Some(ip) = state.services.get(&key) {
            return Ok(*ip);
        }
        let start = fnv1a(&format!("{namespace}/{name}"));
        for step in 0..SPAN {
            let at = ((start + step) % SPAN) as u16;
            let ip = Ipv4Addr::new(127, self.inner.octet, 128 + (at / 254) as u8, 1 + (at % 254) as u8);
            if state.service_ips.insert(ip) {
                state.services.insert(key, ip);
                return Ok(ip);
            }
        }
        Err(NetError::Exhausted("Service"))
    }

    /// Reserves an address for a pod. Addresses are reused as late as possible, so that a client with an old address does
    /// not reach a new pod.
    pub fn allocate_pod_ip(&self) -> Result<Ipv4Addr, NetError> {
        const SPAN: u32 = 119 * 254;
        let mut state = self.lock();
        for _ in 0..SPAN {
            let at = state.next_pod % SPAN;
            state.next_pod = state.next_pod.wrapping_add(1);
            let ip = Ipv4Addr::new(127, self.inner.octet, 1 + (at / 254) as u8, 1 + (at % 254) as u8);
            if state.pods.insert(ip) {
                return Ok(ip);
            }
        }
        Err(NetError::Exhausted("pod"))
    }

    /// Gives a pod's address back.
    pub fn release_pod_ip(&self, ip: Ipv4Addr) {
        self.lock().pods.remove(&ip);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// FNV-1a, 64 bit: stable over processes, unlike the standard library's hasher.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_clusters_never_share_a_network() {
        let (one, two) = (Addresses::claim(7).unwrap(), Addresses::claim(7).unwrap());
        assert_ne!(one.control_plane_ip(), two.control_plane_ip());
    }

    #[test]
    fn a_service_name_keeps_its_address_and_two_names_differ() {
        let net = Addresses::claim(99).unwrap();
        let auth = net.service_ip("gallery", "auth").unwrap();
        assert_eq!(auth, net.service_ip("gallery", "auth").unwrap());
        assert_ne!(auth, net.service_ip("gallery", "api").unwrap());
    }

    #[test]
    fn a_released_pod_address_is_not_the_next_one() {
        let net = Addresses::claim(1234).unwrap();
        let first = net.allocate_pod_ip().unwrap();
        net.release_pod_ip(first);
        assert_ne!(first, net.allocate_pod_ip().unwrap());
    }
}
