//! Charts: values over time as paths, with gaps where there is no value.

use serde::Serialize;

use super::{
    axis::{Axis, WIDTH},
    table::Table,
    text::{Unit, elapsed},
};

/// Units of a path from the top of a chart to its bottom; ten to a pixel.
pub(super) const HEIGHT: i64 = 1000;
/// Room above the highest value, for its label.
const HEAD_ROOM: f64 = 140.0;
/// Of more values than these only the extremes of each column are drawn.
const COLUMNS: i64 = 800;
/// Rows of the table beside a chart.
const TABLE_ROWS: i64 = 100;
/// From this ratio of the largest to the smallest value on the scale is logarithmic, where a chart may have one.
const DECADES: f64 = 50.0;

/// How values are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Straight lines between samples.
    Line,
    /// A value holds until the next one.
    Step,
    /// Not at all.
    Dots,
}

/// Values over time.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) join: Join,
    /// It looks like something that is wrong.
    pub(super) bad: bool,
    /// In order of time; `None` begins a gap.
    pub(super) points: Vec<(i64, Option<f64>)>,
}

impl Series {
    pub(super) fn new(name: impl Into<String>, join: Join) -> Self {
        Self { name: name.into(), join, bad: false, points: Vec::new() }
    }

    fn values(&self) -> impl Iterator<Item = f64> {
        self.points.iter().filter_map(|(_, value)| *value)
    }

    /// True if it never changes.
    pub(super) fn is_flat(&self) -> bool {
        let mut values = self.values();
        let first = values.next();
        values.all(|value| Some(value) == first)
    }

    /// Puts a gap wherever samples are farther apart than usual: three times their median distance, and `least` at least.
    pub(super) fn with_gaps(mut self, least: i64) -> Self {
        let mut apart: Vec<_> = self.points.windows(2).map(|two| two[1].0 - two[0].0).collect();
        apart.sort_unstable();
        let usual = apart.get(apart.len() / 2).copied().unwrap_or(0);
        let limit = (usual * 3).max(least);
        let mut points = Vec::with_capacity(self.points.len());
        for (at, value) in std::mem::take(&mut self.points) {
            if let Some((before, Some(_))) = points.last().copied()
                && at - before > limit
            {
                points.push((before + 1, None));
            }
            points.push((at, value));
        }
        self.points = points;
        self
    }
}

/// What a chart shows.
#[derive(Debug)]
pub(super) struct Sketch {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) unit: Unit,
    pub(super) series: Vec<Series>,
    /// Values that an expectation allows at most.
    pub(super) limits: Vec<(f64, String)>,
    /// A logarithmic scale is allowed.
    pub(super) wide: bool,
    pub(super) note: String,
}

/// A chart, ready to be drawn.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    pub(super) id: String,
    pub(super) title: String,
    /// For those who do not see it.
    pub(super) told: String,
    pub(super) scale: String,
    pub(super) note: String,
    /// Its values hold until the next ones.
    pub(super) holds: bool,
    pub(super) lines: Vec<Drawn>,
    pub(super) ticks: Vec<Level>,
    pub(super) limits: Vec<Level>,
    pub(super) table: Table,
}

/// A series, ready to be drawn.
#[derive(Debug, Serialize)]
pub(super) struct Drawn {
    pub(super) name: String,
    /// Number of its style, from 1.
    pub(super) style: usize,
    pub(super) dots: bool,
    pub(super) bad: bool,
    pub(super) path: String,
}

/// A value of the y axis, with its place in pixels.
#[derive(Debug, Serialize)]
pub(super) struct Level {
    pub(super) y: f64,
    pub(super) label: String,
}

/// Styles of lines that a page tells apart.
const STYLES: usize = 8;

struct Scale {
    log: bool,
    low: f64,
    high: f64,
}

impl Sketch {
    /// Nothing if there are no values.
    pub(super) fn drawn(self, axis: &Axis) -> Option<Chart> {
        let scale = self.scale()?;
        let lines = self.series.iter().enumerate().filter(|(_, one)| one.values().next().is_some());
        let lines = lines.map(|(number, one)| Drawn {
            name: one.name.clone(),
            style: number % STYLES + 1,
            dots: one.join == Join::Dots,
            bad: one.bad,
            path: path(one, axis, &scale),
        });
        let level = |value: f64, label: String| Level { y: scale.y(value) as f64 / 10.0, label };
        let ticks = scale.ticks(self.unit).into_iter().map(|value| level(value, self.unit.write(value)));
        let limits = self.limits.iter().filter(|(value, _)| scale.shows(*value));
        Some(Chart {
            id: self.id.clone(),
            title: self.title.clone(),
            told: self.told(),
            scale: if scale.log { "logarithmic scale".to_owned() } else { String::new() },
            note: self.note.clone(),
            holds: self.series.iter().all(|one| one.join == Join::Step),
            lines: lines.collect(),
            ticks: ticks.collect(),
            limits: limits.map(|(value, label)| level(*value, label.clone())).collect(),
            table: self.table(axis),
        })
    }

    fn scale(&self) -> Option<Scale> {
        let values = || self.series.iter().flat_map(Series::values).filter(|value| value.is_finite());
        let highest = values().max_by(f64::total_cmp)?;
        let limit =
            self.limits.iter().map(|(value, _)| *value).filter(|limit| *limit <= highest.max(1e-9) * 4.0);
        let highest = limit.fold(highest, f64::max);
        let lowest = values().filter(|value| *value > 0.0).min_by(f64::total_cmp).unwrap_or(highest);
        if self.wide && lowest > 0.0 && highest / lowest >= DECADES {
            // Four decades are enough to see; what is below lies on the ground.
            let low = lowest.log10().floor().max(highest.log10().ceil() - 4.0);
            return Some(Scale { log: true, low, high: highest.log10().ceil().max(low + 1.0) });
        }
        let high = nice(if highest > 0.0 { highest } else { self.unit.least() });
        Some(Scale { log: false, low: 0.0, high })
    }

    /// The extremes of each series as a sentence.
    fn told(&self) -> String {
        let told = self.series.iter().filter_map(|one| {
            let low = one.values().min_by(f64::total_cmp)?;
            let high = one.values().max_by(f64::total_cmp)?;
            let (low, high) = (self.unit.write(low), self.unit.write(high));
            Some(if low == high {
                format!("{}: {low}", one.name)
            } else {
                format!("{}: {low} to {high}", one.name)
            })
        });
        told.collect::<Vec<_>>().join("; ")
    }

    /// Every value, or the lowest and the highest of stretches of time where there are many.
    fn table(&self, axis: &Axis) -> Table {
        let mut times: Vec<i64> =
            self.series.iter().flat_map(|one| one.points.iter().map(|(at, _)| *at)).collect();
        times.sort_unstable();
        times.dedup();
        let length = (axis.to - axis.from).max(1);
        let bucket = |at: i64| (at - axis.from).clamp(0, length) * TABLE_ROWS / length;
        let exact = times.len() as i64 <= TABLE_ROWS;
        let key = |at: i64| if exact { at } else { axis.from + bucket(at) * length / TABLE_ROWS };
        let mut rows: Vec<i64> = times.iter().map(|at| key(*at)).collect();
        rows.dedup();
        let columns: Vec<Vec<String>> =
            self.series.iter().map(|one| cells(one, &rows, key, self.unit)).collect();
        let mut head = vec![("since start", true)];
        head.extend(self.series.iter().map(|one| (one.name.as_str(), true)));
        let caption = match exact {
            true => self.title.clone(),
            false => format!(
                "{}: lowest and highest value of each {}",
                self.title,
                harness_event::Millis(length / TABLE_ROWS)
            ),
        };
        let mut table = Table::new(caption, &head);
        for (index, at) in rows.iter().enumerate() {
            if columns.iter().all(|column| column[index].is_empty()) {
                continue;
            }
            let cells = columns.iter().map(|column| column[index].clone());
            table.row(std::iter::once(elapsed(*at)).chain(cells)).at = Some(*at);
        }
        table
    }
}

/// One series' column. A step's value holds where it says nothing new.
fn cells(series: &Series, rows: &[i64], key: impl Fn(i64) -> i64, unit: Unit) -> Vec<String> {
    let (mut points, mut holds) = (series.points.iter().peekable(), None);
    let mut cells = Vec::with_capacity(rows.len());
    for row in rows {
        let (mut low, mut high) = (None::<f64>, None::<f64>);
        while let Some((_, value)) = points.next_if(|(at, _)| key(*at) == *row) {
            holds = *value;
            if let Some(value) = *value {
                low = Some(low.map_or(value, |low| low.min(value)));
                high = Some(high.map_or(value, |high| high.max(value)));
            }
        }
        if low.is_none() && series.join == Join::Step {
            (low, high) = (holds, holds);
        }
        cells.push(match (low.map(|low| unit.write(low)), high.map(|high| unit.write(high))) {
            (Some(low), Some(high)) if low != high => format!("{low} to {high}"),
            (Some(low), _) => low,
            _ => String::new(),
        });
    }
    cells
}

impl Unit {
    /// Top of the scale where all values are zero.
    const fn least(self) -> f64 {
        match self {
            Self::Count | Self::Rate | Self::Burn => 1.0,
            Self::Share => 0.01,
            Self::Latency => 1000.0,
        }
    }
}

impl Scale {
    fn y(&self, value: f64) -> i64 {
        let value = if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        let height = HEIGHT as f64;
        (height - 10.0 - share * (height - 10.0 - HEAD_ROOM)).round() as i64
    }

    fn shows(&self, value: f64) -> bool {
        let value = if self.log { value.max(f64::MIN_POSITIVE).log10() } else { value };
        (self.low..=self.high).contains(&value)
    }

    fn ticks(&self, unit: Unit) -> Vec<f64> {
        if self.log {
            let (low, high) = (self.low as i32, self.high as i32);
            return (low..=high).map(|exponent| 10f64.powi(exponent)).collect();
        }
        let parts = match (unit, self.high) {
            (Unit::Count, high) if high <= 1.0 => vec![0.0, 1.0],
            _ => vec![0.0, 0.5, 1.0],
        };
        parts.into_iter().map(|part| part * self.high).collect()
    }
}

/// The next round number: 1, 2, 4, 5, 6, 8 or 10 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    steps.iter().map(|step| step * power).find(|round| *round >= value * 0.999_999).unwrap_or(value)
}

/// The path of a series: a new one after each gap.
fn path(series: &Series, axis: &Axis, scale: &Scale) -> String {
    let place = |at: i64, value: f64| (axis.unit(at), scale.y(value));
    let mut path = Path { series: series.join, ..Path::default() };
    let mut part: Vec<(i64, i64)> = Vec::new();
    for (at, value) in &series.points {
        match value.filter(|value| value.is_finite()) {
            Some(value) => part.push(place(*at, value)),
            None => {
                // What holds until the next value holds until the gap, too.
                if let (Join::Step, Some((_, y))) = (series.join, part.last().copied()) {
                    part.push((axis.unit(*at), y));
                }
                path.add(&thinned(std::mem::take(&mut part)));
            }
        }
    }
    if let (Join::Step, Some((_, y))) = (series.join, part.last().copied()) {
        part.push((WIDTH, y));
    }
    path.add(&thinned(part));
    path.text
}

/// First, lowest, highest and last of each column, where there are more points than columns.
fn thinned(points: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    if points.len() as i64 <= COLUMNS * 2 {
        return points;
    }
    let mut kept: Vec<(i64, i64)> = Vec::new();
    for column in points.chunk_by(|one, two| one.0 * COLUMNS / WIDTH == two.0 * COLUMNS / WIDTH) {
        let extreme = |order: fn(&(usize, &(i64, i64))) -> i64| {
            column.iter().enumerate().min_by_key(order).map_or(0, |(index, _)| index)
        };
        let mut chosen = [0, extreme(|(_, point)| point.1), extreme(|(_, point)| -point.1), column.len() - 1];
        chosen.sort_unstable();
        kept.extend(chosen.iter().map(|index| column[*index]));
    }
    kept.dedup();
    kept
}

struct Path {
    series: Join,
    text: String,
    at: (i64, i64),
}

impl Default for Path {
    fn default() -> Self {
        Self { series: Join::Line, text: String::new(), at: (0, 0) }
    }
}

impl Path {
    fn add(&mut self, points: &[(i64, i64)]) {
        use std::fmt::Write as _;
        let Some(((x, y), rest)) = points.split_first() else { return };
        // Into a String: cannot fail. Relative coordinates are short ones.
        let _ = write!(self.text, "M{x} {y}h0");
        self.at = (*x, *y);
        for (x, y) in rest {
            let (dx, dy) = (x - self.at.0, y - self.at.1);
            let _ = match self.series {
                Join::Dots => write!(self.text, "m{dx} {dy}h0"),
                Join::Step if dy == 0 => write!(self.text, "h{dx}"),
                Join::Step => write!(self.text, "h{dx}v{dy}"),
                Join::Line => write!(self.text, "l{dx} {dy}"),
            };
            self.at = (*x, *y);
        }
    }
}

#[cfg(test)]
mod tests {
    use harness_event::Timestamp;

    use super::*;

    fn sketch(series: Vec<Series>) -> Sketch {
        let (id, title, note) = ("c".to_owned(), "Chart".to_owned(), String::new());
        Sketch { id, title, unit: Unit::Count, series, limits: vec![], wide: true, note }
    }

    fn series(join: Join, points: &[(i64, Option<f64>)]) -> Series {
        Series { points: points.to_vec(), ..Series::new("s", join) }
    }

    const AXIS: Axis = Axis { from: 0, to: 4000, zero: Timestamp(0) };

    #[test]
    fn a_gap_is_never_joined_over() {
        let points = [(0, Some(1.0)), (1000, Some(1.0)), (2000, None), (3000, Some(2.0))];
        let chart = sketch(vec![series(Join::Line, &points)]).drawn(&AXIS).unwrap();
        assert_eq!(chart.lines[0].path.matches('M').count(), 2, "{}", chart.lines[0].path);
        assert_eq!(chart.lines[0].path, "M0 565h0l1000 0M3000 140h0");
        let missing =
            series(Join::Line, &[(0, Some(1.0)), (10, Some(1.0)), (20, Some(1.0)), (900, Some(1.0))]);
        assert_eq!(missing.with_gaps(100).points[3], (21, None));
    }

    #[test]
    fn a_step_holds_until_the_end_or_the_gap() {
        let one = series(Join::Step, &[(0, Some(1.0)), (1000, Some(2.0)), (2000, None), (3000, Some(2.0))]);
        let chart = sketch(vec![one]).drawn(&AXIS).unwrap();
        assert_eq!(chart.lines[0].path, "M0 565h0h1000v-425h1000M3000 140h0h1000");
        assert_eq!(chart.table.rows.len(), 3, "the gap has no value: {:?}", chart.table.rows);
    }

    #[test]
    fn many_values_keep_their_extremes() {
        let points: Vec<_> =
            (0..40_000).map(|i| (i / 10, Some(if i == 12_345 { 900.0 } else { 10.0 }))).collect();
        let chart = sketch(vec![series(Join::Line, &points)]).drawn(&AXIS).unwrap();
        assert!(chart.lines[0].path.len() < 40_000, "{}", chart.lines[0].path.len());
        assert!(chart.told.ends_with("10 to 900"), "{}", chart.told);
        assert!(chart.table.rows.len() <= 101);
        assert!(chart.table.rows.iter().any(|row| row.cells[1] == "10 to 900"));
    }

    #[test]
    fn a_wide_range_gets_decades_and_nothing_gets_no_chart() {
        let chart = sketch(vec![series(Join::Line, &[(0, Some(0.0)), (1, Some(0.5)), (2, Some(700.0))])])
            .drawn(&AXIS);
        let chart = chart.unwrap();
        assert_eq!(chart.scale, "logarithmic scale");
        assert_eq!(
            chart.ticks.iter().map(|tick| tick.label.as_str()).collect::<Vec<_>>(),
            ["0.1", "1", "10", "100", "1000"]
        );
        assert!(sketch(vec![series(Join::Line, &[(0, None)])]).drawn(&AXIS).is_none());
        assert!(sketch(vec![series(Join::Line, &[(0, Some(f64::NAN))])]).drawn(&AXIS).is_none());
    }
}
