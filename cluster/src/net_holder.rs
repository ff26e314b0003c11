//! Who holds a TCP port: found through `/proc/net/tcp` and the open files of processes.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// A listener on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The port.
    pub port: u16,
    /// The address it listens on.
    pub address: IpAddr,
    /// Its process and command name, when they can be seen (own processes, or all for root).
    pub process: Option<(i32, String)>,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {} is held by a listener on {}", self.port, self.address)?;
        match &self.process {
            Some((pid, name)) => write!(f, " of process {pid} ({name})"),
            None => f.write_str(" of another user's process"),
        }
    }
}

/// The listener that blocks a port on every loopback address: one on the wildcard address, IPv4 or IPv6.
pub fn who_holds(port: u16) -> Option<Holder> {
    holder_where(port, |address| address.is_unspecified())
}

/// The listener that blocks a port on one address: a wildcard listener or one on the address itself.
pub fn who_holds_on(address: Ipv4Addr, port: u16) -> Option<Holder> {
    holder_where(port, |held| held.is_unspecified() || held == IpAddr::V4(address))
}

fn holder_where(port: u16, matches: impl Fn(IpAddr) -> bool) -> Option<Holder> {
    let found = ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        listeners(&table).find(|(address, held, _)| *held == port && matches(*address))
    });
    let (address, _, inode) = found?;
    Some(Holder { port, address, process: owner(inode) })
}

/// Listening sockets (state `0A`) of a `/proc/net/tcp` table: address, port, inode.
fn listeners(table: &str) -> impl Iterator<Item = (IpAddr, u16, u64)> + '_ {
    table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if *fields.get(3)? != "0A" {
            return None;
        }
        let (address, port) = fields.get(1)?.split_once(':')?;
        let inode = fields.get(9)?.parse().ok()?;
        Some((parse_address(address)?, u16::from_str_radix(port, 16).ok()?, inode))
    })
}

/// The kernel prints the address as 32-bit words in host byte order.
fn parse_address(hex: &str) -> Option<IpAddr> {
    let word = |text: &str| u32::from_str_radix(text, 16).map(u32::to_ne_bytes).ok();
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(hex)?))),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(hex.get(index * 8..index * 8 + 8)?)?);
            }
            let address = Ipv6Addr::from(bytes);
            Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
        }
        _ => None,
    }
}

fn owner(inode: u64) -> Option<(i32, String)> {
    let wanted = format!("socket:[{inode}]");
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(files) = fs::read_dir(entry.path().join("fd")) else { continue };
        let holds = files
            .flatten()
            .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == wanted.as_str()));
        if holds {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            return Some((pid, name.trim().to_owned()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_wildcard_listener_is_found_with_its_process() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let holder = who_holds(listener.local_addr().unwrap().port()).unwrap();
        assert_eq!(holder.process.as_ref().unwrap().0, std::process::id() as i32);
        assert!(holder.to_string().contains("is held by a listener on 0.0.0.0 of process"), "{holder}");
    }

    #[test]
    fn a_listener_on_one_address_blocks_only_that_address() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(who_holds(port), None);
        assert!(who_holds_on(Ipv4Addr::LOCALHOST, port).is_some());
        assert_eq!(who_holds_on(Ipv4Addr::new(127, 9, 9, 9), port), None);
    }

    #[test]
    fn addresses_are_read_as_the_kernel_prints_them() {
        assert_eq!(parse_address("0100007F"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(
            parse_address("00000000000000000000000000000000"),
            Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        );
        assert_eq!(parse_address("0000000000000000FFFF00000100007F"), Some(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert_eq!(parse_address("xyz"), None);
    }
}
