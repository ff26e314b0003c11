//! The manifests of a monitoring system, compressed as a whole.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde_json::{Map, Value};

use super::{
    CompressError, Length, Ratio, Report, RuleFile, Sampling,
    alertmanager::scale_alertmanager,
    prometheus::{self, SHORTEST_INTERVAL, field, scale_field, scale_prometheus, too_often},
    rules::scale_rules,
};

/// Annotation of an object whose durations are not production time: how many seconds of production time one second of it
/// stands for, or [`FIXED`].
pub const TIME_SCALE: &str = "sre-harness.io/time-scale";
/// Value of [`TIME_SCALE`] for what cannot be faster or slower than it is.
pub const FIXED: &str = "fixed";
/// Annotation of pods whose configuration is compressed, with the factor.
pub const COMPRESSED: &str = "sre-harness.io/compressed";
/// Annotation of the same pods with a checksum of the configuration, so that a change of it makes a rollout.
const CHECKSUM: &str = "sre-harness.io/config";

const SCRAPE_ANNOTATIONS: [&str; 2] = ["prometheus.io/scrape-interval", "prometheus.io/scrape-timeout"];

/// Brings all configuration of a monitoring system among the objects to the time scale `factor`: ConfigMaps with rules,
/// `prometheus.yml` and `alertmanager.yml`, Prometheus' command line, and the annotations that say how often to scrape. Objects
/// without [`TIME_SCALE`] are production time. Pods with changed configuration get [`COMPRESSED`].
///
/// # Errors
///
/// If a file is not understood, or something would not work any more; then the objects are half changed and of no use.
pub fn compress(objects: &mut [Value], factor: u32) -> Result<Report, CompressError> {
    let mut work = Work { factor, report: Report::default() };
    if factor == 0 {
        work.report.problem("factor", "it must be at least 1");
    }
    let mut files = work.read(objects)?;
    if !files.iter().any(|file| matches!(file.content, Content::Prometheus(_))) {
        work.report.problem("manifests", "there is no configuration of Prometheus among them");
    }
    let sampling = work.scale_prometheus(&mut files);
    work.scale_rules(&mut files, sampling);
    work.scale_alertmanager(&mut files);
    let changed = write(objects, files)?;
    let checksum = checksum(objects, &changed);
    for object in objects.iter_mut() {
        work.scale_object(object, &changed, &checksum);
    }
    work.report.checked()
}

/// A file in a ConfigMap.
struct File {
    object: usize,
    key: String,
    place: String,
    ratio: Ratio,
    content: Content,
}

pub(super) enum Content {
    Rules(RuleFile),
    Prometheus(Value),
    Alertmanager(Value),
}

struct Work {
    factor: u32,
    report: Report,
}

impl Work {
    /// From an object's time scale to the wanted one; `None` if the object is fixed.
    fn ratio(&mut self, object: &Value) -> Option<Ratio> {
        let scale = object["metadata"]["annotations"][TIME_SCALE].as_str();
        match scale.map(str::parse::<u32>) {
            None => Some(Ratio::divide_by(self.factor)),
            Some(Ok(scale)) if scale > 0 => Some(Ratio::between(scale, self.factor)),
            Some(_) => {
                if scale != Some(FIXED) {
                    let text = format!(
                        "annotation {TIME_SCALE}: {scale:?} is neither a number of seconds nor {FIXED:?}"
                    );
                    self.report.problem(&described(object), text);
                }
                None
            }
        }
    }

    fn read(&mut self, objects: &[Value]) -> Result<Vec<File>, CompressError> {
        let mut files = Vec::new();
        for (at, object) in objects.iter().enumerate().filter(|(_, object)| object["kind"] == "ConfigMap") {
            for (key, text) in object["data"].as_object().into_iter().flatten() {
                let place = format!("{}, {key}", described(object));
                let Some(content) = content(&place, text.as_str().unwrap_or_default())? else { continue };
                let Some(ratio) = self.ratio(object) else {
                    self.report.unscaled(&place, format_args!("marked as {FIXED}"));
                    continue;
                };
                files.push(File { object: at, key: key.clone(), place, ratio, content });
            }
        }
        Ok(files)
    }

    fn scale_prometheus(&mut self, files: &mut [File]) -> Sampling {
        let mut sampling = Sampling::default();
        for file in files {
            let Content::Prometheus(config) = &mut file.content else { continue };
            sampling = scale_prometheus(config, file.ratio, self.factor, &file.place, &mut self.report);
        }
        sampling
    }

    /// Files of one scale belong together; those that stay need no look.
    fn scale_rules(&mut self, files: &mut [File], sampling: Sampling) {
        let mut done: Vec<Ratio> = Vec::new();
        for at in 0..files.len() {
            let ratio = files[at].ratio;
            if done.contains(&ratio) {
                continue;
            }
            done.push(ratio);
            let mut alike: Vec<&mut RuleFile> = files
                .iter_mut()
                .filter(|file| file.ratio == ratio)
                .filter_map(|file| match &mut file.content {
                    Content::Rules(rules) => Some(rules),
                    _ => None,
                })
                .collect();
            scale_rules(&mut alike, ratio, sampling, &mut self.report);
        }
    }

    fn scale_alertmanager(&mut self, files: &mut [File]) {
        for file in files {
            let Content::Alertmanager(config) = &mut file.content else { continue };
            scale_alertmanager(config, file.ratio, self.factor, &file.place, &mut self.report);
        }
    }

    /// Command lines, scrape annotations, and the mark of pods with changed configuration.
    fn scale_object(&mut self, object: &mut Value, changed: &BTreeSet<String>, checksum: &str) {
        let ratio = self.ratio(object);
        let place = described(object);
        self.scale_annotations(&mut object["metadata"], ratio, &place);
        let Some(template) = object.pointer_mut("/spec/template") else { return };
        self.scale_annotations(&mut template["metadata"], ratio, &place);
        let mut marked = mounts(&template["spec"], changed);
        for container in
            prometheus::list(&mut template["spec"], "containers").filter(|one| is_image(one, "prometheus"))
        {
            let mut args = container["args"].as_array().cloned().unwrap_or_default();
            let before = args.clone();
            let ratio = ratio.unwrap_or(Ratio::ONE);
            prometheus::scale_flags(&mut args, ratio, self.factor, &place, &mut self.report);
            marked |= args != before;
            container["args"] = args.into();
        }
        if marked {
            if !template["metadata"]["annotations"].is_object() {
                template["metadata"]["annotations"] = Value::Object(Map::new());
            }
            template["metadata"]["annotations"][COMPRESSED] = self.factor.to_string().into();
            template["metadata"]["annotations"][CHECKSUM] = checksum.into();
        }
    }

    fn scale_annotations(&mut self, metadata: &mut Value, ratio: Option<Ratio>, place: &str) {
        let Some(annotations) = metadata.get_mut("annotations").filter(|value| value.is_object()) else {
            return;
        };
        for key in SCRAPE_ANNOTATIONS {
            match ratio {
                Some(ratio) => scale_field(annotations, key, ratio, place, &mut self.report),
                None => self.fixed_scrape(annotations, key, place),
            }
        }
        if let Some(interval) =
            field(annotations, SCRAPE_ANNOTATIONS[0]).filter(|one| *one < SHORTEST_INTERVAL)
        {
            self.report.problem(place, too_often("scraping", interval));
        }
    }

    /// A target that is scraped at its own pace: said, and checked that its series do not vanish between two scrapes.
    fn fixed_scrape(&mut self, annotations: &Value, key: &str, place: &str) {
        let Some(interval) = field(annotations, key).filter(|_| key == SCRAPE_ANNOTATIONS[0]) else { return };
        let stands_for = Length::from_millis(interval.millis().saturating_mul(u64::from(self.factor)));
        self.report.unscaled(
            place,
            format_args!(
                "it is scraped every {interval} at any compression, which stands for {stands_for} here"
            ),
        );
        let lookback = Length::from_millis(300_000).scaled(Ratio::divide_by(self.factor.max(1)));
        if lookback.is_none_or(|lookback| lookback < interval) {
            self.report.problem(
                place,
                format_args!("it is scraped every {interval}, longer than an expression looks back then: its series come and go"),
            );
        }
    }
}

/// What a file is, by what it holds.
pub(super) fn content(place: &str, text: &str) -> Result<Option<Content>, CompressError> {
    // Something else altogether, such as a script or a page.
    let Ok(value) = serde_saphyr::from_str::<Value>(text) else { return Ok(None) };
    let rules = value["groups"].as_array();
    if rules.is_some_and(|groups| groups.iter().any(|group| group["rules"].is_array())) {
        return RuleFile::parse(place, text).map(|rules| Some(Content::Rules(rules)));
    }
    Ok(if value["route"].is_object() && value["receivers"].is_array() {
        Some(Content::Alertmanager(value))
    } else if value["scrape_configs"].is_array() || value["rule_files"].is_array() {
        Some(Content::Prometheus(value))
    } else {
        None
    })
}

/// Puts the files back. Gives the names of the ConfigMaps that changed.
fn write(objects: &mut [Value], files: Vec<File>) -> Result<BTreeSet<String>, CompressError> {
    let mut changed = BTreeSet::new();
    for file in files {
        let value = match &file.content {
            Content::Rules(_) if file.ratio.is_one() => continue,
            Content::Rules(rules) => rules.to_yaml(&file.place)?,
            Content::Prometheus(value) | Content::Alertmanager(value) => {
                prometheus::to_yaml(&file.place, value)?
            }
        };
        let object = &mut objects[file.object];
        object["data"][&file.key] = value.into();
        changed.extend(object["metadata"]["name"].as_str().map(str::to_owned));
    }
    Ok(changed)
}

/// Tells contents of the ConfigMaps apart.
fn checksum(objects: &[Value], names: &BTreeSet<String>) -> String {
    let mut hasher = DefaultHasher::new();
    for object in objects.iter().filter(|object| object["kind"] == "ConfigMap") {
        if object["metadata"]["name"].as_str().is_some_and(|name| names.contains(name)) {
            object["data"].to_string().hash(&mut hasher);
        }
    }
    format!("{:016x}", hasher.finish())
}

/// True if a pod mounts one of the ConfigMaps.
fn mounts(pod: &Value, names: &BTreeSet<String>) -> bool {
    let empty = Vec::new();
    let named = |name: &Value| name.as_str().is_some_and(|name| names.contains(name));
    pod["volumes"].as_array().unwrap_or(&empty).iter().any(|volume| {
        let sources = volume["projected"]["sources"].as_array().unwrap_or(&empty);
        named(&volume["configMap"]["name"])
            || sources.iter().any(|source| named(&source["configMap"]["name"]))
    })
}

/// True if a container's image has this name, whatever registry and version it is of.
pub(super) fn is_image(container: &Value, name: &str) -> bool {
    let image = container["image"].as_str().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split([':', '@']).next() == Some(name)
}

/// `ConfigMap monitoring/prometheus-rules`, for messages.
pub(super) fn described(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
    match object["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

/// The rule files in ConfigMaps among the objects.
pub fn rule_files(objects: &[Value]) -> Result<Vec<RuleFile>, CompressError> {
    let mut files = Vec::new();
    for object in objects.iter().filter(|object| object["kind"] == "ConfigMap") {
        for (key, text) in object["data"].as_object().into_iter().flatten() {
            let place = format!("{}, {key}", described(object));
            if let Some(Content::Rules(file)) = content(&place, text.as_str().unwrap_or_default())? {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// True if an object runs pods of an image with this name: `prometheus`, `alertmanager`.
pub fn runs(object: &Value, image: &str) -> bool {
    let containers = object.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    containers.into_iter().flatten().any(|container| is_image(container, image))
}
