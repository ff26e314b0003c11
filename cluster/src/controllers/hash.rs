//! The `pod-template-hash` of a ReplicaSet.

use k8s_openapi::api::core::v1::PodTemplateSpec;

/// Digits that never form a word; Kubernetes' `rand.SafeEncodeString` uses the same ones.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Hash of a template and of the number of collisions so far. The same text form as Kubernetes' (FNV-1a, 32 bit, in decimal,
/// each digit replaced by a safe letter), over the template's JSON instead of Go's dump of the struct: the values differ.
pub fn pod_template_hash(
    template: &PodTemplateSpec,
    collisions: Option<i32>,
) -> Result<String, serde_json::Error> {
    let mut hash = 0x811c_9dc5_u32;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    };
    add(&serde_json::to_vec(template)?);
    if let Some(collisions) = collisions {
        add(&collisions.to_le_bytes());
    }
    let letter = |digit: u8| char::from(ALPHABET[usize::from(digit) % ALPHABET.len()]);
    Ok(hash.to_string().bytes().map(letter).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depends_on_the_template_and_on_collisions_and_is_a_valid_label() {
        let template = |image: &str| -> PodTemplateSpec {
            serde_json::from_value(
                serde_json::json!({ "spec": { "containers": [{ "name": "main", "image": image }] } }),
            )
            .unwrap()
        };
        let hash = |image: &str, collisions| pod_template_hash(&template(image), collisions).unwrap();
        assert_eq!(hash("a", None), hash("a", None));
        assert_ne!(hash("a", None), hash("b", None));
        assert_ne!(hash("a", None), hash("a", Some(1)));
        assert!(hash("a", None).bytes().all(|byte| ALPHABET.contains(&byte)));
    }
}
