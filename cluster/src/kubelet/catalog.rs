//! The image catalogue: which program on this machine stands for an image.
//!
//! Names are compared without registry, `library/`, tag and digest. Programs are looked up beside our own binary, on `PATH`,
//! in the usual places of Debian packages and in the tools cache that `make tools` fills.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::images;

/// What an image is on this machine. The field names are those of a catalogue file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct ImageEntry {
    /// Names of the program, the first one found is used: absolute, or searched. Empty: the image has no program of its own
    /// and the pod's command says what to run.
    #[serde(deserialize_with = "one_or_many")]
    pub program: Vec<String>,
    /// Arguments that always come first (the rest of the image's ENTRYPOINT).
    pub entrypoint: Vec<String>,
    /// Arguments if the pod gives none (the image's CMD).
    pub args: Vec<String>,
    /// Environment of the image.
    pub env: BTreeMap<String, String>,
    /// Anonymous volumes of the image (VOLUME).
    pub volumes: Vec<String>,
    /// Working directory of the image.
    pub working_dir: Option<String>,
    /// Signal that asks for a clean stop, as `SIGTERM` or a number.
    pub stop_signal: Option<String>,
    /// Account to run as when the kubelet is root and the pod does not say; the first that exists.
    pub users: Vec<String>,
    /// The program insists on a user with an entry in the account database.
    pub needs_account: bool,
    /// Shell script that is run instead of the program (which must exist nevertheless).
    pub script: Option<String>,
    /// Paths of the program inside the real image, for pods that name it in `command`.
    pub aliases: Vec<String>,
    /// What it is for, in `doctor`'s words.
    pub purpose: String,
    /// Debian package, or how else to get it.
    pub package: String,
    /// Nothing is amiss when the program is not on the machine.
    pub optional: bool,
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(one) => vec![one],
        OneOrMany::Many(many) => many,
    })
}

/// An image that can be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedImage {
    /// Stands for the image's digest in container statuses.
    pub image_id: String,
    /// ENTRYPOINT: the program and its first arguments.
    pub entrypoint: Vec<String>,
    /// CMD.
    pub args: Vec<String>,
    /// Environment of the image, `PATH` included.
    pub env: Vec<(String, String)>,
    /// Anonymous volumes.
    pub volumes: Vec<String>,
    /// Working directory.
    pub working_dir: Option<String>,
    /// Number of the stop signal.
    pub stop_signal: i32,
    /// Accounts to run as by default.
    pub users: Vec<String>,
    /// See [`ImageEntry::needs_account`].
    pub needs_account: bool,
    /// A library that pretends an account to such a program, if there is one.
    pub account_wrapper: Option<PathBuf>,
    /// Programs inside the real image and what stands for them.
    pub aliases: Vec<(String, PathBuf)>,
}

/// Why an image cannot be run: the text of `ErrImagePull`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// The catalogue does not have it.
    #[error(
        "image \"{image}\" is not in the image catalogue of this node (it has: {known}); add it to the catalogue file"
    )]
    Unknown {
        /// The image as written in the pod.
        image: String,
        /// The catalogue's names.
        known: String,
    },
    /// The catalogue has it, its program is missing.
    #[error(
        "image \"{image}\" needs the program {program} ({package}), which is not on this machine{}",
        if *optional { "" } else { ": run `make tools`" }
    )]
    Missing {
        /// The image as written in the pod.
        image: String,
        /// The program.
        program: String,
        /// Where it comes from.
        package: String,
        /// `make tools` does not get it.
        optional: bool,
    },
    /// The name is no image reference.
    #[error("couldn't parse image name \"{0}\": invalid reference format")]
    Invalid(String),
}

/// One line of `doctor`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgramStatus {
    /// The program.
    pub program: String,
    /// What it is for.
    pub purpose: String,
    /// Where it was found.
    pub path: Option<PathBuf>,
    /// The version it reports.
    pub version: Option<String>,
    /// What to install when it is missing.
    pub install: String,
    /// Nothing is amiss when it is missing.
    pub optional: bool,
}

/// Why a catalogue file was refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// It cannot be read.
    #[error("image catalogue {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is not a catalogue.
    #[error("image catalogue {path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
}

/// The catalogue.
#[derive(Clone, Debug)]
pub struct Catalog {
    entries: BTreeMap<String, ImageEntry>,
    own: Vec<PathBuf>,
    tools: Option<PathBuf>,
}

impl Default for Catalog {
    fn default() -> Self {
        Self::builtin()
    }
}

impl Catalog {
    /// The built-in images.
    pub fn builtin() -> Self {
        let own =
            env::current_exe().ok().map(|exe| exe.ancestors().skip(1).take(2).map(Path::to_owned).collect());
        Self { entries: images::builtin_entries(), own: own.unwrap_or_default(), tools: tools_directory() }
    }

    /// Adds a directory in which binaries of this project are looked up first.
    pub fn with_binaries(mut self, directory: PathBuf) -> Self {
        self.own.insert(0, directory);
        self
    }

    /// Adds or replaces one image.
    pub fn with_image(mut self, name: &str, entry: ImageEntry) -> Self {
        self.entries.insert(name.to_owned(), entry);
        self
    }

    /// Adds the images of a YAML file: `images: {name: {program: …, args: […], env: {…}, …}}`.
    pub fn with_file(mut self, path: &Path) -> Result<Self, CatalogError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            images: BTreeMap<String, ImageEntry>,
        }
        let text = fs::read_to_string(path)
            .map_err(|source| CatalogError::Read { path: path.to_owned(), source })?;
        let document: Document = serde_saphyr::from_str(&text)
            .map_err(|error| CatalogError::Parse { path: path.to_owned(), message: error.to_string() })?;
        self.entries.extend(document.images);
        Ok(self)
    }

    /// Names of all images.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Finds the program behind an image.
    pub fn resolve(&self, image: &str) -> Result<ResolvedImage, ImageError> {
        let name = repository(image).ok_or_else(|| ImageError::Invalid(image.to_owned()))?;
        let entry = self.entries.get(name).ok_or_else(|| ImageError::Unknown {
            image: image.to_owned(),
            known: self.images().collect::<Vec<_>>().join(", "),
        })?;
        let program = match entry.program.first() {
            None => None,
            Some(first) => Some(self.find_any(&entry.program).ok_or_else(|| ImageError::Missing {
                image: image.to_owned(),
                program: first.clone(),
                package: entry.package.clone(),
                optional: entry.optional,
            })?),
        };
        let mut path: Vec<PathBuf> = Vec::new();
        let mut env: Vec<(String, String)> = Vec::new();
        if let Some(program) = &program {
            // Beside the program lie its companions (`pg_isready`, `psql`), also where only one of them is linked to PATH.
            path.extend(
                fs::canonicalize(program).unwrap_or_else(|_| program.clone()).parent().map(Path::to_owned),
            );
            if let Some(tools) = self.tools.as_ref().filter(|tools| program.starts_with(tools)) {
                env.push(("LD_LIBRARY_PATH".to_owned(), join_paths(&library_directories(tools))));
            }
        }
        path.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
        path.extend(
            ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
                .map(PathBuf::from),
        );
        let mut seen = BTreeSet::new();
        path.retain(|directory| seen.insert(directory.clone()));
        env.push(("PATH".to_owned(), join_paths(&path)));
        env.extend(entry.env.iter().map(|(name, value)| (name.clone(), value.clone())));
        let account_wrapper = entry.needs_account.then(|| self.account_wrapper()).flatten();
        let mut entrypoint: Vec<String> = match (&entry.script, &program) {
            (Some(script), _) => {
                ["/bin/sh", "-c", script, "docker-entrypoint.sh"].map(str::to_owned).to_vec()
            }
            (None, Some(program)) => vec![program.to_string_lossy().into_owned()],
            (None, None) => Vec::new(),
        };
        entrypoint.extend(entry.entrypoint.iter().cloned());
        let aliases =
            program.iter().flat_map(|path| entry.aliases.iter().map(|a| (a.clone(), path.clone()))).collect();
        Ok(ResolvedImage {
            image_id: format!("sha256:{}", hex(&Sha256::digest(format!("{name}\0{program:?}")))),
            entrypoint,
            args: entry.args.clone(),
            env,
            volumes: entry.volumes.clone(),
            working_dir: entry.working_dir.clone(),
            stop_signal: entry.stop_signal.as_deref().and_then(signal_number).unwrap_or(15),
            users: entry.users.clone(),
            needs_account: entry.needs_account,
            account_wrapper,
            aliases,
        })
    }

    /// Looks for every program of the catalogue. Runs each found one with `--version`; blocks for that long.
    pub fn doctor(&self) -> Vec<ProgramStatus> {
        let mut seen = BTreeSet::new();
        let mut result = Vec::new();
        for (image, entry) in &self.entries {
            let Some(first) = entry.program.first().filter(|first| seen.insert((*first).clone())) else {
                continue;
            };
            let path = self.find_any(&entry.program);
            // A service of the project, asked for its version, would start to serve.
            let external = !entry.package.starts_with("built by");
            let version = path.as_ref().filter(|_| external).and_then(|path| self.version(path));
            let purpose =
                if entry.purpose.is_empty() { format!("image {image}") } else { entry.purpose.clone() };
            let program = Path::new(first).file_name().unwrap_or_default().to_string_lossy().into_owned();
            result.push(ProgramStatus {
                program,
                purpose,
                path,
                version,
                install: entry.package.clone(),
                optional: entry.optional,
            });
        }
        result
    }

    fn version(&self, path: &Path) -> Option<String> {
        let mut command = std::process::Command::new(path);
        command.arg("--version").stdin(std::process::Stdio::null());
        if let Some(tools) = self.tools.as_ref().filter(|tools| path.starts_with(tools)) {
            command.env("LD_LIBRARY_PATH", join_paths(&library_directories(tools)));
        }
        let output = command.output().ok()?;
        // Some print it to standard error.
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        text.split(|c: char| c.is_whitespace() || matches!(c, ',' | '=' | '('))
            .map(|word| word.trim_start_matches('v'))
            .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
            .map(str::to_owned)
    }

    /// `libnss_wrapper.so`: lets a program that insists on an account run under a uid without one, as in the real image.
    fn account_wrapper(&self) -> Option<PathBuf> {
        let mut directories = library_directories(Path::new("/"));
        directories.extend(self.tools.iter().flat_map(|tools| library_directories(tools)));
        directories
            .into_iter()
            .map(|directory| directory.join("libnss_wrapper.so"))
            .find(|path| path.is_file())
    }

    fn find_any(&self, names: &[String]) -> Option<PathBuf> {
        names.iter().find_map(|name| self.find(name))
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(PathBuf::from(name)).filter(|path| is_executable(path));
        }
        let mut directories = self.own.clone();
        directories.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
        directories.extend(["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(PathBuf::from));
        directories.extend(postgres_directories(Path::new("/usr/lib/postgresql")));
        if let Some(tools) = &self.tools {
            directories.extend(["usr/bin", "usr/sbin", "bin"].map(|part| tools.join(part)));
            directories.extend(postgres_directories(&tools.join("usr/lib/postgresql")));
        }
        directories.into_iter().map(|directory| directory.join(name)).find(|path| is_executable(path))
    }
}

/// `registry.example:5000/library/postgres:16@sha256:…` becomes `postgres`.
fn repository(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let name = match name[slash..].find(':') {
        Some(colon) => &name[..slash + colon],
        None => name,
    };
    let name = match name.split_once('/') {
        Some((registry, rest)) if registry.contains(['.', ':']) || registry == "localhost" => rest,
        _ => name,
    };
    let name = name.strip_prefix("library/").unwrap_or(name);
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '/' | '.' | '_' | '-');
    (!name.is_empty() && name.chars().all(valid)).then_some(name)
}

/// Number of a signal name (`SIGINT`, `INT`) or number.
pub fn signal_number(name: &str) -> Option<i32> {
    let names = [
        ("HUP", 1),
        ("INT", 2),
        ("QUIT", 3),
        ("KILL", 9),
        ("USR1", 10),
        ("USR2", 12),
        ("TERM", 15),
        ("WINCH", 28),
    ];
    let short = name.strip_prefix("SIG").unwrap_or(name);
    names.iter().find(|(known, _)| *known == short).map(|(_, number)| *number).or_else(|| name.parse().ok())
}

/// The tools cache: `$SRE_HARNESS_TOOLS`, else a place that depends on being root.
pub fn tools_directory() -> Option<PathBuf> {
    if let Some(directory) = env::var_os("SRE_HARNESS_TOOLS").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(directory));
    }
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/cache/sre-harness/tools"));
    }
    env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/sre-harness/tools"))
}

/// Binary directories of PostgreSQL, the newest major version first.
fn postgres_directories(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    versions.into_iter().map(|(_, path)| path).collect()
}

/// Shared library directories of an unpacked Debian tree.
fn library_directories(tools: &Path) -> Vec<PathBuf> {
    let mut result = Vec::new();
    for part in ["usr/lib", "lib"] {
        let root = tools.join(part);
        let Ok(entries) = fs::read_dir(&root) else { continue };
        let triples =
            entries.flatten().filter(|entry| entry.file_name().to_string_lossy().contains("-linux-gnu"));
        result.extend(triples.map(|entry| entry.path()));
        result.push(root);
    }
    result
}

fn join_paths(paths: &[PathBuf]) -> String {
    // A directory with a colon in its name cannot be on a search path.
    let names: Vec<_> =
        paths.iter().map(|path| path.to_string_lossy()).filter(|name| !name.contains(':')).collect();
    names.join(":")
}

/// True for a file that somebody may execute.
pub fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_registry_and_tag() {
        let cases = [
            ("postgres", Some("postgres")),
            ("postgres:16-alpine", Some("postgres")),
            ("docker.io/library/postgres:16", Some("postgres")),
            ("localhost/busybox:1.35", Some("busybox")),
            ("quay.io/prometheus/prometheus:v2.42.0", Some("prometheus/prometheus")),
            ("registry:5000/gallery/api@sha256:00", Some("gallery/api")),
            ("gallery/api", Some("gallery/api")),
            ("Bad Image", None),
            ("", None),
        ];
        for (image, expected) in cases {
            assert_eq!(repository(image), expected, "{image}");
        }
    }

    #[test]
    fn an_unknown_image_says_what_there_is() {
        let error = Catalog::builtin().resolve("acme/web:1").unwrap_err().to_string();
        assert!(error.contains("\"acme/web:1\"") && error.contains("prom/prometheus"), "{error}");
    }

    #[test]
    fn a_missing_program_says_what_to_install() {
        let entry = ImageEntry {
            program: vec!["no-such-program".to_owned()],
            package: "Debian package none".to_owned(),
            ..ImageEntry::default()
        };
        let catalog = Catalog::builtin().with_image("acme/web", entry);
        let error = catalog.resolve("acme/web").unwrap_err().to_string();
        assert!(
            error.contains("no-such-program (Debian package none)") && error.contains("make tools"),
            "{error}"
        );
        let status = catalog.doctor().into_iter().find(|status| status.program == "no-such-program").unwrap();
        assert_eq!((status.path, status.install.as_str()), (None, "Debian package none"));
    }

    #[test]
    fn a_file_extends_the_catalogue() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("catalog.yaml");
        let text =
            "images:\n  acme/web:\n    program: /bin/sh\n    args: [-c, 'true']\n    stopSignal: SIGQUIT\n";
        fs::write(&path, text).unwrap();
        let image = Catalog::builtin().with_file(&path).unwrap().resolve("acme/web").unwrap();
        assert_eq!(image.entrypoint, ["/bin/sh"]);
        assert_eq!((image.args, image.stop_signal), (vec!["-c".to_owned(), "true".to_owned()], 3));
        fs::write(&path, "images:\n  acme/web:\n    porgram: /bin/sh\n").unwrap();
        let error = Catalog::builtin().with_file(&path).unwrap_err().to_string();
        assert!(error.contains("porgram"), "{error}");
    }

    #[test]
    fn an_image_without_program_leaves_the_command_to_the_pod() {
        let image = Catalog::builtin().resolve("busybox").unwrap();
        assert!(image.entrypoint.is_empty());
        assert_eq!(image.args, ["sh"]);
        assert!(image.env.iter().any(|(name, value)| name == "PATH" && value.contains("/bin")));
    }
}
