//! The obvious twin of the durable store: a state in memory. For tests, which hold the other against it.

use super::{Record, State, Store, StoreError};

/// Keeps records as long as the process lives.
#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    state: State,
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<State, StoreError> {
        Ok(self.state.clone())
    }

    fn write(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.state.check(records)?;
        self.state.apply(records);
        Ok(())
    }
}
