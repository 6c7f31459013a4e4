//! PID 1 of the mini-os.
