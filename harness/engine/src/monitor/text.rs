//! Small texts for people.

/// `1 target`, `2 targets`.
pub(super) fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// The first few of a list.
pub(super) fn listed<S: AsRef<str>>(items: &[S]) -> String {
    const SHOWN: usize = 8;
    let shown = items.iter().take(SHOWN).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The name that was most probably meant, if one is near enough.
pub(crate) fn nearest<'a>(typed: &str, names: &[&'a str]) -> Option<&'a str> {
    let lower = typed.to_lowercase();
    let near = |name: &&'a str| {
        let other = name.to_lowercase();
        let distance = strsim::osa_distance(&lower, &other);
        let close = distance <= (name.chars().count() / 3).max(1);
        // Part of a longer name: `ServiceDown` for `APIServiceDown`.
        let part = lower.len() > 3 && other.contains(&lower);
        (close || part).then_some((distance, *name))
    };
    names.iter().filter_map(near).min().map(|(_, name)| name)
}

/// What to say about a name that is not there: the one that was meant, or those that are.
pub(crate) fn suggestion<S: AsRef<str>>(typed: &str, names: &[S]) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match nearest(typed, &names) {
        Some(near) => format!("Did you mean {near}?"),
        None if names.is_empty() => "There is none at all".to_owned(),
        None => format!("There are: {}", listed(&names)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_cut() {
        assert_eq!(listed(&["a", "b"]), "a, b");
        assert_eq!(listed(&["x"; 10]), "x, x, x, x, x, x, x, x and 2 more");
        assert_eq!((counted(1, "rule"), counted(0, "rule")), ("1 rule".to_owned(), "0 rules".to_owned()));
    }
}
