//! netboot-protocol
