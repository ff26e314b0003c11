//! What the dialogs know.

use super::form::Form;
use crate::{Catalogue, FaultPreview};

/// State of the dialogs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GameDayUi {
    /// What can be done, as the host said it last.
    pub(super) catalogue: Option<Catalogue>,
    pub(super) step: Step,
    /// Row of the list that is marked.
    pub(super) cursor: usize,
}

/// Which dialog is open, and where it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Step {
    /// A kind of fault is chosen.
    #[default]
    Kinds,
    /// A form is filled in.
    Form(Form),
    /// The host says what the fault would do; nothing until it has.
    Plan(Form, Option<FaultPreview>),
    /// A load is chosen.
    Loads,
}

impl GameDayUi {
    /// Rows of the list that is shown.
    pub(super) fn rows(&self) -> usize {
        let catalogue = self.catalogue.as_ref();
        match self.step {
            Step::Loads => catalogue.map_or(0, |catalogue| catalogue.loads.len()),
            _ => catalogue.map_or(0, |catalogue| catalogue.faults.len()),
        }
    }
}
