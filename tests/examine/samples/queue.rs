//! A queue of bounded size.

use std::collections::VecDeque;

/// Holds at most `limit` items.
pub struct Bounded<T> {
    items: VecDeque<T>,
    limit: usize,
}

impl<T> Bounded<T> {
    /// Gives the item back where the queue is full.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.items.len() >= self.limit {
            return Err(item);
        }
        self.items.push_back(item);
        Ok(())
    }

    pub fn first(&self) -> &T {
        unsafe { self.items.get(0).unwrap_unchecked() }
    }
}
