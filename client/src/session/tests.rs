//! Whole sessions against a kernel that fails where it is told to.

mod calls;
mod chain;
mod lustre;
mod table;
mod targets;

use super::*;
use crate::testing::{Fake, OWN_CHOICE, Place, spec};
use tarazu_layout::OstIndex;

const NEW: i32 = libc::O_CREAT | libc::O_WRONLY | libc::O_CLOEXEC;

/// Makes a file and says why it was left, `None` where it was steered.
fn make(session: &Session, place: &Place, name: &str) -> (Option<Why>, Vec<OstIndex>) {
    let path = place.at("fs").join(name);
    let fd = session.create(&path, NEW, 0o640).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(session.system.write(fd.as_fd(), b"data").unwrap(), 4);
    drop(fd);
    assert_eq!(std::fs::read(&path).unwrap(), b"data");
    let explanation = session.explain(&path).unwrap();
    let got = explanation.got.map(|stored| stored.first_list().to_vec()).unwrap_or_default();
    (explanation.made.and_then(|made| made.why), got)
}
