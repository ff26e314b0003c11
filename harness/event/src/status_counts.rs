//! Counts by status code, for `#[serde(with = "harness_event::status_counts")]`.
//!
//! JSON has only text as keys. Where serde has to buffer (internally tagged or flattened types, as events and messages are), it
//! does not read the text back as a number by itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Writes the codes as text.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(counts: &BTreeMap<u16, u64>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(status, count)| (status.to_string(), count)))
}

/// Reads them back.
///
/// # Errors
/// If a key is no status code.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<u16, u64>, D::Error> {
    let read = |(status, count): (String, u64)| match status.parse() {
        Ok(status) => Ok((status, count)),
        Err(_) => Err(D::Error::custom(format!("not a status code: {status:?}"))),
    };
    BTreeMap::<String, u64>::deserialize(deserializer)?.into_iter().map(read).collect()
}
