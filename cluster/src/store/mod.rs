//! The resource store: what etcd and the API server's watch cache are on a real cluster.
//!
//! Objects are JSON, kept serialised (a parsed tree takes several times the memory), one [`Collection`] per resource. Every
//! write takes the next number of one counter, the resourceVersion, and leaves an event in the collection's history. Watchers
//! hold no queue: they remember the last version they have sent and read on from the history, so a slow one costs nothing and
//! learns that it is too late ([`StoreError::Expired`]) when the history has moved past it. The same history rolls a list
//! back to an earlier version, which is how pages of a list stay consistent.

mod collection;
mod memory;
mod object;

pub use collection::{Event, EventKind};
pub use memory::{CollectionSpec, Store, StoreError};
pub use object::{Key, Stored};

pub(crate) use object::text_at;
