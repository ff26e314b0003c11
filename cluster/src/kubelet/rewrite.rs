//! Volumes and Service names without privileges: rewriting text.
//!
//! A process cannot be given its own mounts or resolver without privileges. So, when a container starts, the paths of its
//! mounts and the DNS names of Services are replaced in its command, arguments, environment values and in the text files of
//! its ConfigMap, Secret and downward API volumes: `/etc/prometheus/prometheus.yml` becomes the file below the data
//! directory, `auth.gallery.svc` and `auth.gallery.svc.cluster.local` become the ClusterIP.

use std::{borrow::Cow, net::Ipv4Addr, path::PathBuf};

use crate::net::Addresses;

/// Files larger than this are copied as they are.
pub const MAX_FILE: usize = 1 << 20;

/// A path in the container and what stands for it on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// `mountPath`, absolute, without a trailing slash.
    pub mount_path: String,
    /// The directory or file on the host.
    pub host_path: PathBuf,
}

/// Rewrites texts for one container.
#[derive(Debug)]
pub struct Rewriter {
    mounts: Vec<Mount>,
    addresses: Addresses,
}

impl Rewriter {
    /// The longest mount path wins, so that nested mounts work.
    pub fn new(mut mounts: Vec<Mount>, addresses: Addresses) -> Self {
        for mount in &mut mounts {
            while mount.mount_path.len() > 1 && mount.mount_path.ends_with('/') {
                mount.mount_path.pop();
            }
        }
        mounts.sort_by_key(|mount| std::cmp::Reverse(mount.mount_path.len()));
        Self { mounts, addresses }
    }

    /// Rewrites one text.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let paths = rewrite_paths(text, &self.mounts);
        let lookup = |service: &str, namespace: &str| self.addresses.service_ip(namespace, service).ok();
        match rewrite_names(&paths, lookup) {
            Some(names) => Cow::Owned(names),
            None => paths,
        }
    }

    /// Rewrites a file's content if it is text of a moderate size.
    pub fn bytes<'t>(&self, content: &'t [u8]) -> Cow<'t, [u8]> {
        if content.len() >= MAX_FILE {
            return Cow::Borrowed(content);
        }
        match std::str::from_utf8(content).map(|text| self.text(text)) {
            Ok(Cow::Owned(changed)) => Cow::Owned(changed.into_bytes()),
            _ => Cow::Borrowed(content),
        }
    }

    /// The host path of a path in the container, if a mount covers it.
    pub fn path(&self, path: &str) -> Option<PathBuf> {
        self.mounts.iter().find_map(|mount| {
            let rest = path.strip_prefix(mount.mount_path.as_str())?;
            match rest.strip_prefix('/') {
                Some(rest) => Some(mount.host_path.join(rest)),
                None if rest.is_empty() => Some(mount.host_path.clone()),
                None => None,
            }
        })
    }
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/' | b'~' | b'%' | b'@')
}

/// Replaces mount paths where they stand for themselves: not inside a longer path, not the path part of a URL with a host.
fn rewrite_paths<'t>(text: &'t str, mounts: &[Mount]) -> Cow<'t, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find('/') {
        at += found;
        let hit = starts_path(bytes, at)
            .then(|| mounts.iter().find(|mount| covers(&bytes[at..], mount.mount_path.as_bytes())))
            .flatten();
        match hit {
            Some(mount) => {
                out.push_str(&text[copied..at]);
                out.push_str(&mount.host_path.to_string_lossy());
                at += mount.mount_path.len();
                copied = at;
            }
            None => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// True if an absolute path may begin at `at`.
fn starts_path(bytes: &[u8], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|index| bytes[index]) else { return true };
    // `sqlite:///data/x.db`: an empty authority, then the path.
    if bytes[..at].ends_with(b"://") {
        return true;
    }
    // `-D/var/lib/data`: a one-letter option with its value attached.
    if before.is_ascii_alphabetic() && at >= 2 && bytes[at - 2] == b'-' {
        return at == 2 || bytes[at - 3].is_ascii_whitespace();
    }
    !is_path_byte(before)
}

fn covers(text: &[u8], mount_path: &[u8]) -> bool {
    text.starts_with(mount_path)
        && match text.get(mount_path.len()) {
            None | Some(b'/') => true,
            // A full stop ends a sentence only if nothing follows it.
            Some(b'.') => text.get(mount_path.len() + 1).is_none_or(u8::is_ascii_whitespace),
            Some(byte) => !is_path_byte(*byte),
        }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

/// Replaces `<service>.<namespace>.svc[.cluster.local[.]]`; `None` if nothing was found.
fn rewrite_names(text: &str, lookup: impl Fn(&str, &str) -> Option<Ipv4Addr>) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut search = 0;
    while let Some(found) = text[search..].find(".svc") {
        let svc = search + found;
        search = svc + 4;
        let Some(end) = name_end(text, svc + 4) else { continue };
        let namespace_start = label_start(bytes, copied, svc);
        if namespace_start == svc || namespace_start <= copied || bytes[namespace_start - 1] != b'.' {
            continue;
        }
        let service_end = namespace_start - 1;
        let service_start = label_start(bytes, copied, service_end);
        // A dot before the first label: the name of a single pod (`db-0.db.shop.svc`), which has no address here.
        let inside = service_start > 0
            && (bytes[service_start - 1] == b'.' || bytes[service_start - 1].is_ascii_alphanumeric());
        if service_start == service_end || inside {
            continue;
        }
        if let Some(ip) = lookup(&text[service_start..service_end], &text[namespace_start..svc]) {
            out.push_str(&text[copied..service_start]);
            out.push_str(&ip.to_string());
            copied = end;
            search = end;
        }
    }
    if copied == 0 {
        return None;
    }
    out.push_str(&text[copied..]);
    Some(out)
}

fn label_start(bytes: &[u8], from: usize, end: usize) -> usize {
    let mut start = end;
    while start > from && is_name_byte(bytes[start - 1]) {
        start -= 1;
    }
    // A label begins with a letter or digit: `--db.shop.svc` is an odd flag, not a name.
    while start < end && bytes[start] == b'-' {
        start += 1;
    }
    start
}

/// Where the name ends whose `.svc` ends at `at`; `None` if it goes on with something else.
fn name_end(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    let (end, rest) = match rest.strip_prefix(".cluster.local") {
        Some(rest) => (at + ".cluster.local".len(), rest),
        None => (at, rest),
    };
    let next = rest.as_bytes();
    match next.first() {
        None => Some(end),
        // The root dot of a fully qualified name, or a full stop.
        Some(b'.') => {
            let more = next
                .get(1)
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_');
            (!more).then(|| if next.len() > 1 && next[1].is_ascii_whitespace() { end } else { end + 1 })
        }
        Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') => None,
        Some(_) => Some(end),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounts(pairs: &[(&str, &str)]) -> Vec<Mount> {
        pairs
            .iter()
            .map(|(mount, host)| Mount { mount_path: (*mount).to_owned(), host_path: PathBuf::from(host) })
            .collect()
    }

    #[test]
    fn mount_paths_are_replaced_only_where_they_are_paths() {
        let mounts = mounts(&[("/etc/app/rules", "/R"), ("/etc/app", "/A"), ("/data", "/D")]);
        let cases = [
            ("--config.file=/etc/app/app.yml", "--config.file=/A/app.yml"),
            ("/etc/app", "/A"),
            ("/etc/app/", "/A/"),
            ("/etc/app/rules/*.yml", "/R/*.yml"),
            ("/etc/app/rules2/x", "/A/rules2/x"),
            ("/etc/apps", "/etc/apps"),
            ("/opt/etc/app/x", "/opt/etc/app/x"),
            ("http://host/data/x", "http://host/data/x"),
            ("http://host:80/data", "http://host:80/data"),
            ("sqlite:///data/x.db", "sqlite:///D/x.db"),
            ("-D/data", "-D/D"),
            ("exec server -D/data -f", "exec server -D/D -f"),
            ("a:/data:b", "a:/D:b"),
            ("'/data' \"/data\" (/data)", "'/D' \"/D\" (/D)"),
            ("see /data.", "see /D."),
            ("/data.bak", "/data.bak"),
            ("/data-old /data_old", "/data-old /data_old"),
            ("no path", "no path"),
            ("ü/data", "ü/D"),
        ];
        for (text, expected) in cases {
            assert_eq!(rewrite_paths(text, &mounts), expected, "{text}");
        }
    }

    #[test]
    fn a_replaced_path_is_not_replaced_again() {
        let mounts = mounts(&[("/data", "/tmp/pods/data"), ("/tmp", "/data")]);
        assert_eq!(rewrite_paths("/data/x /tmp/y", &mounts), "/tmp/pods/data/x /data/y");
    }

    #[test]
    fn service_names_become_addresses() {
        let lookup = |service: &str, namespace: &str| match (service, namespace) {
            ("auth", "gallery") => Some(Ipv4Addr::new(127, 70, 128, 1)),
            ("a-1", "n-2") => Some(Ipv4Addr::new(127, 70, 128, 2)),
            _ => None,
        };
        let cases = [
            ("http://auth.gallery.svc:18082/x", Some("http://127.70.128.1:18082/x")),
            ("auth.gallery.svc.cluster.local", Some("127.70.128.1")),
            ("auth.gallery.svc.cluster.local.", Some("127.70.128.1")),
            ("a-1.n-2.svc,auth.gallery.svc", Some("127.70.128.2,127.70.128.1")),
            ("postgres://u:p@auth.gallery.svc:1/db", Some("postgres://u:p@127.70.128.1:1/db")),
            ("ask auth.gallery.svc. Then", Some("ask 127.70.128.1. Then")),
            ("auth.gallery.svc.example.com", None),
            ("auth.gallery.svcx", None),
            ("x.auth.gallery.svc", None),
            ("gallery.svc", None),
            (".svc", None),
            ("unknown.gallery.svc", None),
            ("X1auth.gallery.svc", None),
        ];
        for (text, expected) in cases {
            assert_eq!(rewrite_names(text, lookup).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn large_or_binary_files_are_left_alone() {
        let rewriter = Rewriter::new(mounts(&[("/data", "/D")]), Addresses::claim(5).unwrap());
        assert_eq!(rewriter.bytes(b"/data/x").as_ref(), b"/D/x");
        assert_eq!(rewriter.bytes(b"\xff/data/x").as_ref(), b"\xff/data/x");
        let large = [b"/data ".repeat(MAX_FILE / 6), b"/data/x".to_vec()].concat();
        assert_eq!(rewriter.bytes(&large).as_ref(), large);
        assert_eq!(rewriter.path("/data/x/y"), Some(PathBuf::from("/D/x/y")));
        assert_eq!(rewriter.path("/database"), None);
    }
}
