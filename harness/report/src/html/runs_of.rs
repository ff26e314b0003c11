//! Answers that are alike, one after the other, as one.

/// A run of answers of the same kind and text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// First answer.
    pub(super) from: i64,
    /// Last answer.
    pub(super) last: i64,
    /// Until when it tells something: the next answer of any kind, where that comes in time.
    pub(super) until: i64,
    pub(super) ok: bool,
    /// The first one's text.
    pub(super) text: String,
    pub(super) count: usize,
}

/// Joins answers `(time, as expected, text)` of one thing. Answers whose text differs in digits alone are alike.
pub(super) fn runs(mut said: Vec<(i64, bool, String)>) -> Vec<Run> {
    said.sort_by_key(|(at, ..)| *at);
    let mut apart: Vec<_> = said.windows(2).map(|two| two[1].0 - two[0].0).collect();
    apart.sort_unstable();
    let usual = apart.get(apart.len() / 2).copied().unwrap_or(0);
    let limit = (usual * 3).max(3000);
    let mut runs: Vec<Run> = Vec::new();
    for (at, ok, text) in said {
        if let Some(run) = runs.last_mut() {
            let in_time = at - run.last <= limit;
            if in_time {
                run.until = at;
            }
            if in_time && run.ok == ok && alike(&run.text, &text) {
                (run.last, run.count) = (at, run.count + 1);
                continue;
            }
        }
        runs.push(Run { from: at, last: at, until: at, ok, text, count: 1 });
    }
    runs
}

fn alike(one: &str, other: &str) -> bool {
    // A status is a text of digits alone: there each of them counts.
    if one == other {
        return true;
    }
    let letters = |text: &str| text.chars().any(char::is_alphabetic);
    let bare = |text: &str| {
        text.split(|character: char| character.is_ascii_digit() || character == '.')
            .map(str::to_owned)
            .collect::<String>()
    };
    letters(one) && letters(other) && bare(one) == bare(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_said_once_and_silence_is_no_answer() {
        let said = [
            (0, true, "200"),
            (1000, true, "200"),
            (2000, false, "503"),
            (3000, false, "503"),
            (60_000, true, "200"),
        ];
        let runs = runs(said.iter().map(|(at, ok, text)| (*at, *ok, (*text).to_owned())).collect());
        let all: Vec<_> = runs.iter().map(|run| (run.from, run.last, run.until, run.ok, run.count)).collect();
        assert_eq!(
            all,
            [(0, 1000, 2000, true, 2), (2000, 3000, 3000, false, 2), (60_000, 60_000, 60_000, true, 1)]
        );
    }

    #[test]
    fn texts_that_differ_in_a_figure_are_alike_but_statuses_are_not() {
        assert!(alike("took 1.5 ms", "took 12.25 ms"));
        assert!(!alike("200", "503"));
        assert!(!alike("refused", "timed out"));
    }
}
