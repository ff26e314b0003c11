//! The programs behind the images of the manifests: all there, before anything is started?

use std::collections::BTreeSet;

use cluster::kubelet::catalog::{Catalog, ImageError, ProgramStatus};
use serde_json::Value;

use super::{error::StackError, services::BINARIES};

/// Fails if a program from outside the project is missing, or an image is not in the catalogue. Gives the demo system's
/// binaries that are needed.
pub async fn check(objects: &[Value]) -> Result<Vec<&'static str>, StackError> {
    let catalog = Catalog::builtin();
    let mut missing = BTreeSet::new();
    let mut services = BTreeSet::new();
    for image in images(objects) {
        if let Some(service) = BINARIES.into_iter().find(|name| is_service(&image, name)) {
            services.insert(service);
            continue;
        }
        match catalog.resolve(&image) {
            Ok(_) => {}
            // It is running.
            Err(ImageError::Missing { program, .. }) if program == "harness" => {}
            Err(ImageError::Missing { program, .. }) => drop(missing.insert(program)),
            Err(error) => return Err(StackError::Image(error)),
        }
    }
    if missing.is_empty() {
        return Ok(services.into_iter().collect());
    }
    // What each is for is known to the doctor, who runs programs to learn their versions: too slow to ask every time.
    let all = tokio::task::spawn_blocking(move || catalog.doctor()).await.unwrap_or_default();
    Err(StackError::MissingPrograms(all.into_iter().filter(|one| missing.contains(&one.program)).collect()))
}

/// What the embedded stack needs and is not part of the project, with version or what to install. Runs programs; blocks.
pub fn survey() -> Vec<ProgramStatus> {
    Catalog::builtin().doctor().into_iter().filter(|one| !is_ours(&one.program)).collect()
}

/// True for `gallery/NAME`, with or without registry and tag.
fn is_service(image: &str, name: &str) -> bool {
    let repository = image.split('@').next().unwrap_or_default();
    let (path, last) = repository.rsplit_once('/').unwrap_or(("", repository));
    path.rsplit('/').next() == Some("gallery") && last.split(':').next() == Some(name)
}

fn is_ours(program: &str) -> bool {
    program == "harness" || BINARIES.contains(&program)
}

/// All images of pod templates.
fn images(objects: &[Value]) -> BTreeSet<String> {
    let containers = |object: &Value| {
        let template =
            object.pointer("/spec/template/spec").or_else(|| object.get("spec")).cloned().unwrap_or_default();
        ["initContainers", "containers"]
            .map(|field| template[field].as_array().cloned().unwrap_or_default())
            .concat()
    };
    let images = objects.iter().flat_map(containers);
    images.filter_map(|container| container["image"].as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(image: &str) -> Value {
        let spec = json!({ "initContainers": [{ "image": "busybox" }], "containers": [{ "image": image }] });
        json!({ "kind": "Deployment", "spec": { "template": { "spec": spec } } })
    }

    #[test]
    fn images_of_init_containers_count_too() {
        let objects = [deployment("postgres:15"), json!({ "kind": "Service", "spec": { "ports": [] } })];
        assert_eq!(images(&objects), BTreeSet::from(["busybox".to_owned(), "postgres:15".to_owned()]));
    }

    #[tokio::test]
    async fn an_image_that_nothing_stands_for_is_refused_before_anything_is_started() {
        let error = check(&[deployment("acme/web:1")]).await.unwrap_err();
        assert!(
            matches!(&error, StackError::Image(ImageError::Unknown { image, .. }) if image == "acme/web:1"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_services_that_are_needed_are_told_by_their_images() {
        let objects =
            ["gallery/api:dev", "registry.example:5000/gallery/auth", "other/images"].map(deployment);
        assert!(check(&objects).await.is_err(), "other/images is not in the catalogue");
        assert_eq!(check(&objects[..2]).await.unwrap(), ["api", "auth"]);
    }
}
