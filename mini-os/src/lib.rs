//! mini-os
