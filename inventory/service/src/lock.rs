//! Locks that outlive a panic.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic cannot leave a map half changed: each critical section keeps it valid at every point.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
