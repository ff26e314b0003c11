//! Small charts: sparklines and gauges.

use harness_event::{Millis, state::Series};

use crate::{
    app::Timescale,
    paint::Pen,
    theme::{Role, Theme},
};

/// The time that charts of what was measured show: the last seconds, or as much as a column a second gives.
#[must_use]
pub fn span(timescale: Timescale, now: Millis, columns: usize) -> (Millis, Millis) {
    let length = match timescale {
        Timescale::Auto => columns as i64,
        Timescale::Last(seconds) => seconds,
    };
    (now - Millis::from_secs(length.max(1)), now)
}

/// One column of a sparkline.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Column {
    /// Nothing is known about that time: before the first sample, or after the last.
    Blank,
    /// A sample says that there is no value.
    Missing,
    /// The largest value in that time.
    Value(f64),
}

/// The columns of a series between two times. A sample holds for so long (`None`: until the next one); where the next one is later
/// than that, samples are missing.
#[must_use]
pub fn columns(
    series: &Series,
    (from, to): (Millis, Millis),
    columns: usize,
    hold: Option<Millis>,
) -> Vec<Column> {
    let mut shown = vec![Column::Blank; columns];
    let length = (to - from).0.max(1);
    let place = |at: Millis| ((at - from).0 * columns as i64).div_euclid(length);
    let start = |column: i64| from + Millis(column * length / (columns as i64).max(1));
    let mut before: Option<(Millis, i64, Column)> = None;
    // From the newest back: a series is long, what is shown of it may be short.
    let mut points: Vec<(Millis, Option<f64>)> = Vec::new();
    for point in series.points().rev() {
        points.push(point);
        if point.0 < from {
            break;
        }
    }
    for (at, value) in points.into_iter().rev() {
        if at > to {
            break;
        }
        let column = value.map_or(Column::Missing, Column::Value);
        let here = place(at).min(columns as i64 - 1);
        if let Some((since, last, held)) = before {
            for gap in (last + 1).max(0)..here {
                let holds = hold.is_none_or(|hold| start(gap) <= since + hold);
                shown[gap as usize] = if holds { held } else { Column::Missing };
            }
        }
        if here >= 0 && columns > 0 {
            let cell = &mut shown[here as usize];
            *cell = match (*cell, column) {
                (Column::Value(a), Column::Value(b)) => Column::Value(a.max(b)),
                // A missing sample is shown even if others in the same column are there.
                (Column::Missing, _) | (_, Column::Missing) => Column::Missing,
                (Column::Blank, column) => column,
                (known, Column::Blank) => known,
            };
        }
        before = Some((at, here, column));
    }
    if let Some((since, last, held)) = before {
        for rest in (last + 1).max(0)..columns as i64 {
            if hold.is_none_or(|hold| start(rest) <= since + hold) {
                shown[rest as usize] = held;
            }
        }
    }
    shown
}

/// Samples that come every second hold for so long.
pub const SECONDLY: Option<Millis> = Some(Millis(2_000));

/// Draws a series from zero to its largest value in sight (or `at_least`).
pub fn sparkline(pen: &mut Pen<'_>, theme: &Theme, shown: &[Column], at_least: f64, role: Role) {
    let value = |column: &Column| match column {
        Column::Value(value) if value.is_finite() => Some(*value),
        _ => None,
    };
    let largest = shown.iter().filter_map(value).fold(at_least, f64::max);
    let symbols = theme.symbols();
    let top = symbols.levels.len() - 1;
    for column in shown {
        match column {
            Column::Blank => pen.skip(1),
            Column::Missing => pen.put(symbols.missing, Role::Dim),
            Column::Value(value) if !value.is_finite() => pen.put(symbols.missing, Role::Dim),
            Column::Value(value) => {
                let part = if largest > 0.0 { (value.max(0.0) / largest).clamp(0.0, 1.0) } else { 0.0 };
                pen.put(symbols.levels[(part * top as f64).round() as usize], role)
            }
        };
    }
}

/// Draws a gauge of so many columns. What is not zero fills one column at least, what is not full leaves one empty.
pub fn gauge(pen: &mut Pen<'_>, theme: &Theme, ratio: f64, columns: usize, role: Role) {
    let columns = columns.min(pen.left());
    let ratio = if ratio.is_finite() { ratio.clamp(0.0, 1.0) } else { 0.0 };
    let mut full = (ratio * columns as f64).round() as usize;
    if ratio > 0.0 {
        full = full.max(1);
    }
    if ratio < 1.0 {
        full = full.min(columns.saturating_sub(1));
    }
    let symbols = theme.symbols();
    pen.put(&symbols.full.repeat(full), role)
        .put(&symbols.empty.repeat(columns - full.min(columns)), Role::Dim);
}

#[cfg(test)]
mod tests {
    use ratatui::{buffer::Buffer, layout::Rect};

    use super::*;

    const THEME: Theme = Theme { color: false, unicode: true };

    fn series(points: &[(i64, Option<f64>)]) -> Series {
        let mut series = Series::default();
        points.iter().for_each(|(second, value)| series.push(Millis::from_secs(*second), *value));
        series
    }

    fn drawn(shown: &[Column]) -> String {
        let mut buf = Buffer::empty(Rect::new(0, 0, shown.len() as u16, 1));
        let area = buf.area;
        sparkline(&mut Pen::new(&mut buf, &THEME, area, 0), &THEME, shown, 0.0, Role::Plain);
        (0..area.width).map(|x| buf[(x, 0)].symbol()).collect()
    }

    #[test]
    fn where_samples_should_be_and_are_not_something_is_missing() {
        let series = series(&[(0, Some(1.0)), (1, Some(1.0)), (6, Some(1.0))]);
        let shown = columns(&series, (Millis(0), Millis::from_secs(10)), 10, SECONDLY);
        assert_eq!(drawn(&shown), "████╳╳███ ", "two seconds after a sample nobody knows");
        let finer = columns(&series, (Millis(0), Millis::from_secs(2)), 8, SECONDLY);
        assert_eq!(drawn(&finer), "████████", "a second has several columns");
    }

    #[test]
    fn a_missing_sample_is_not_zero_and_not_blank() {
        let series = series(&[(2, Some(0.0)), (3, None), (4, Some(10.0)), (7, Some(5.0))]);
        let shown = columns(&series, (Millis(0), Millis::from_secs(10)), 10, None);
        assert_eq!(drawn(&shown), "  ▁╳███▅▅▅");
    }

    #[test]
    fn a_value_from_before_the_time_in_sight_holds_until_the_next() {
        let series = series(&[(1, Some(4.0)), (8, Some(8.0))]);
        let shown = columns(&series, (Millis::from_secs(5), Millis::from_secs(10)), 5, None);
        assert_eq!(drawn(&shown), "▅▅▅██");
    }

    #[test]
    fn more_samples_than_columns_keep_the_peaks_and_the_gaps() {
        let series = series(&[(0, Some(1.0)), (1, Some(9.0)), (2, Some(1.0)), (3, None)]);
        assert_eq!(
            columns(&series, (Millis(0), Millis::from_secs(4)), 2, None),
            [Column::Value(9.0), Column::Missing]
        );
        assert_eq!(columns(&series, (Millis(0), Millis::from_secs(4)), 0, None), []);
    }

    #[test]
    fn a_gauge_is_empty_or_full_only_if_it_is() {
        let drawn = |ratio| {
            let mut buf = Buffer::empty(Rect::new(0, 0, 5, 1));
            let area = buf.area;
            gauge(&mut Pen::new(&mut buf, &THEME, area, 0), &THEME, ratio, 5, Role::Plain);
            (0..5).map(|x| buf[(x, 0)].symbol()).collect::<String>()
        };
        let shown = [0.0, 0.001, 0.5, 0.999, 1.0, 7.0, f64::NAN].map(drawn);
        assert_eq!(shown, ["░░░░░", "█░░░░", "███░░", "████░", "█████", "█████", "░░░░░"]);
    }
}
