//! Who gets how many rows.

/// Rows that a panel asks for, its title included. None at all: it is not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Want {
    /// Below this it is of no use.
    pub(super) least: u16,
    /// More would stay blank.
    pub(super) most: u16,
}

/// Gives rows to panels, in the order of their importance: first to each what it needs at least, as long as there is enough; then one
/// row after the other to all that can use more. What is left over goes to the last that is there.
pub(super) fn allot(rows: u16, wants: &[Want]) -> Vec<u16> {
    let mut left = rows;
    let mut given = vec![0; wants.len()];
    for (rows, want) in given.iter_mut().zip(wants) {
        if want.least <= left {
            *rows = want.least;
            left -= want.least;
        }
    }
    let mut grows = true;
    while left > 0 && grows {
        grows = false;
        for (rows, want) in given.iter_mut().zip(wants) {
            if *rows > 0 && *rows < want.most && left > 0 {
                *rows += 1;
                left -= 1;
                grows = true;
            }
        }
    }
    if let Some(last) = given.iter_mut().rev().find(|rows| **rows > 0) {
        *last += left;
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn want(least: u16, most: u16) -> Want {
        Want { least, most }
    }

    #[test]
    fn the_important_ones_come_first_and_nothing_is_wasted() {
        assert_eq!(allot(10, &[want(3, 5), want(3, 20), want(2, 2)]), [4, 4, 2]);
        assert_eq!(allot(20, &[want(3, 5), want(3, 20), want(2, 2)]), [5, 13, 2]);
        assert_eq!(allot(7, &[want(3, 5), want(3, 20), want(2, 2)]), [4, 3, 0]);
        assert_eq!(allot(10, &[want(0, 0), want(2, 3)]), [0, 10]);
        assert_eq!(allot(0, &[want(1, 1)]), [0]);
        assert_eq!(allot(5, &[]), [0; 0]);
    }
}
