//! Applies tarazu's placement to the files that a process creates: Rust API and C ABI.
