//! "Did you mean": the nearest known name.

/// The candidate that was most probably meant, if one is near enough: at most a third of it is different.
pub(crate) fn nearest<'c>(typed: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    // The distance is quadratic in the length; nobody means a known name with a text of many times its length.
    if typed.len() > 100 {
        return None;
    }
    let lower = typed.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|(distance, candidate)| (*distance, *candidate != typed))
        .map(|(_, candidate)| candidate)
}

/// `did you mean "x"?`, or the list of what there is.
pub(crate) fn hint(typed: &str, candidates: &[&str], what: &str) -> Option<String> {
    match nearest(typed, candidates.iter().copied()) {
        Some(near) => Some(format!("did you mean {near:?}?")),
        None if candidates.is_empty() => None,
        None => Some(format!("{what}: {}", candidates.join(", "))),
    }
}

/// Text of the user inside a message: quoted, escaped, and not longer than people want to read.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}", format!("{}…", &text[..end])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found_and_far_ones_are_not() {
        let keys = ["pending_within", "firing_within", "fault", "every"];
        assert_eq!(nearest("pending_witin", keys), Some("pending_within"));
        assert_eq!(nearest("Firing_Within", keys), Some("firing_within"));
        assert_eq!(nearest("fualt", keys), Some("fault"), "swapped letters are one mistake");
        assert_eq!(nearest("evry", keys), Some("every"));
        assert_eq!(nearest("duration", keys), None);
        assert_eq!(nearest(&"x".repeat(10_000), keys), None);
    }
}
