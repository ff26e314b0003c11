//! The programs behind the images of the manifests: all there, before anything is started?

use std::collections::BTreeSet;

use cluster::kubelet::catalog::{Catalog, ImageError, ProgramStatus};
use serde_json::Value;

use super::{error::StackError, services::BINARIES};

/// Fails if a program from outside the project is missing, or an image is not in the catalogue.
pub async fn check(objects: &[Value]) -> Result<(), StackError> {
    let catalog = Catalog::builtin();
    let mut missing = BTreeSet::new();
    for image in images(objects) {
        match catalog.resolve(&image) {
            Ok(_) => {}
            // Those are built further on.
            Err(ImageError::Missing { program, .. }) if is_ours(&program) => {}
            Err(ImageError::Missing { program, .. }) => drop(missing.insert(program)),
            Err(error) => return Err(StackError::Image(error)),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    // What each is for is known to the doctor, who runs programs to learn their versions: too slow to ask every time.
    let all = tokio::task::spawn_blocking(move || catalog.doctor()).await.unwrap_or_default();
    Err(StackError::MissingPrograms(all.into_iter().filter(|one| missing.contains(&one.program)).collect()))
}

/// What the embedded stack needs and is not part of the project, with version or what to install. Runs programs; blocks.
pub fn survey() -> Vec<ProgramStatus> {
    Catalog::builtin().doctor().into_iter().filter(|one| !is_ours(&one.program)).collect()
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
        check(&[deployment("gallery/api")]).await.unwrap();
    }
}
