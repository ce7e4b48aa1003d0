//! Ids as newtypes, so that a server is never passed where a target is meant.

use core::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The id as an index into a dense table.
            #[must_use]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(
    /// One mounted file system.
    FsId(u32), "fs"
);
id!(
    /// An object storage target, numbered densely `0..targets` per file system by tarazu.
    ///
    /// Not the OST index: those have gaps where targets were removed. The table maps one to the other.
    TargetId(u32), "target"
);
id!(
    /// An object storage server, numbered densely per file system.
    ServerId(u32), "server"
);
id!(
    /// A compute node.
    NodeId(u32), "node"
);
id!(
    /// A batch job, as the scheduler numbers it.
    JobId(u64), "job"
);
id!(
    /// A metadata target. Each runs its own stock allocator with its own state.
    MdtId(u32), "mdt"
);

/// The index of an OST as Lustre knows it (`lfs osts`), with gaps where targets were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OstIndex(pub u32);

impl fmt::Display for OstIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Lustre prints the index in four hexadecimal digits: fs-OST000e.
        write!(f, "OST{:04x}", self.0)
    }
}
