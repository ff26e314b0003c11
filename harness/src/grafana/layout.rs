//! Where panels are: within the 24 columns, and not one over the other (Grafana would push one of them away, so the file would
//! not say what is shown).

use super::{
    check::{Place, Problem},
    model::{GridPos, Panel},
};

const COLUMNS: u32 = 24;

/// Looks at the panels of a dashboard, or of a collapsed row.
pub fn check(panels: &[Panel], file: &str, problems: &mut Vec<Problem>) {
    let mut placed: Vec<(&Panel, GridPos)> = Vec::new();
    for panel in panels {
        let mut say = |text: String| problems.push(Problem::new(file, Place::panel(panel), text));
        match panel.grid_pos {
            None => say("it has no gridPos".to_owned()),
            Some(at) if at.w == 0 || at.h == 0 || at.x + at.w > COLUMNS => {
                say(format!("its gridPos (x {}, w {}, h {}) does not fit into 24 columns", at.x, at.w, at.h));
            }
            Some(at) => {
                if let Some((other, _)) = placed.iter().find(|(_, other)| overlap(at, *other)) {
                    say(format!("it lies over {}", Place::panel(other)));
                }
                placed.push((panel, at));
            }
        }
        // Panels of a collapsed row are placed when it is opened: they don't meet those below it.
        check(&panel.panels, file, problems);
    }
}

fn overlap(one: GridPos, two: GridPos) -> bool {
    let meet = |a: u32, a_length: u32, b: u32, b_length: u32| a < b + b_length && b < a + a_length;
    meet(one.x, one.w, two.x, two.w) && meet(one.y, one.h, two.y, two.h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_do_not_overlap() {
        let at = |x, y, w, h| GridPos { x, y, w, h };
        assert!(!overlap(at(0, 0, 12, 8), at(12, 0, 12, 8)));
        assert!(!overlap(at(0, 0, 24, 1), at(0, 1, 24, 1)));
        assert!(overlap(at(0, 0, 12, 8), at(11, 7, 1, 1)));
    }
}
