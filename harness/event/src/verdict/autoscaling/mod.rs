//! What a HorizontalPodAutoscaler does.
//!
//! The replicas are those of the scaled workload, as its watch delivered them; the autoscaler's own record (`status.desiredReplicas`
//! and `status.lastScaleTime`) says which of their changes are its own. A change that is not explained by it was made by somebody
//! else, and then the run says nothing about the autoscaler.

mod budget;
mod case;
mod goals;
mod summary;

pub(super) use goals::judge;
pub use summary::Scaling;
