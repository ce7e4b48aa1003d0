//! What reading any bytes as Lustre's layout must hold.
//!
//! Compiled into the fuzz target and, by path, into the test that replays its corpus.

use tarazu_layout::limits::{COMPONENTS_MAX, STRIPES_MAX};
use tarazu_layout::lov::{encode, read_default, read_file};

/// As a folder's default: what is read and may be asked for comes back the same. As a file's: it has a copy, and
/// nothing in it is above its limit. Whether it was read as either.
pub(crate) fn check(bytes: &[u8]) -> (bool, bool) {
    let default = read_default(bytes);
    if let Ok(request) = &default
        && let Ok(again) = encode(request)
    {
        assert_eq!(read_default(&again).as_ref(), Ok(request));
    }
    let file = read_file(bytes);
    if let Ok(stored) = &file {
        assert!(stored.main().is_some());
        let components: usize = stored.mirrors.iter().map(|mirror| mirror.layout.components.len()).sum();
        assert!(components <= COMPONENTS_MAX);
        for mirror in &stored.mirrors {
            assert_eq!(mirror.initialised.len(), mirror.layout.components.len());
            assert!(mirror.layout.components.iter().all(|component| component.stripes.len() <= STRIPES_MAX));
        }
        assert!(stored.first_list().len() * 24 <= bytes.len());
    }
    (default.is_ok(), file.is_ok())
}
