//! Which Lustre a device number is: reads the kernel's list of mounts.

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::sys::{System, small_file};

/// Bytes of the list of mounts that are looked at; nodes full of containers have some hundred KiB.
const MOUNTS_BYTES_MAX: usize = 4 << 20;

/// A mounted Lustre.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) fs_name: String,
    pub(super) point: PathBuf,
}

/// The Lustre with this device number; where none has it, the only one there is.
pub(super) fn find(system: &dyn System, proc_root: &Path, dev: u64) -> Option<Mount> {
    let path = CString::new(proc_root.join("self/mountinfo").as_os_str().as_bytes()).ok()?;
    let text = small_file(system, &path, MOUNTS_BYTES_MAX)?;
    let wanted = format!("{}:{}", libc::major(dev), libc::minor(dev));
    let mut lustres: Vec<(&[u8], Mount)> = text.split(|byte| *byte == b'\n').filter_map(line).collect();
    if let Some(at) = lustres.iter().position(|(number, _)| *number == wanted.as_bytes()) {
        return Some(lustres.swap_remove(at).1);
    }
    // Nodes that export Lustre over NFS may give files another device number than the mount's.
    let first = lustres.pop()?.1;
    lustres.iter().all(|(_, other)| *other == first).then_some(first)
}

/// Device number and mount of a line of `mountinfo`, where it is a Lustre client's.
fn line(line: &[u8]) -> Option<(&[u8], Mount)> {
    let mut fields = line.split(|byte| *byte == b' ');
    let number = fields.nth(2)?;
    let point = fields.nth(1)?;
    let mut behind = fields.skip_while(|field| *field != b"-").skip(1);
    if behind.next()? != b"lustre" {
        return None;
    }
    // `nid:/name` or `nid:/name/folder`; servers have no `:/`.
    let source = std::str::from_utf8(behind.next()?).ok()?;
    let (_, name) = source.split_once(":/")?;
    let fs_name = name.split('/').next()?.to_owned();
    Some((number, Mount { fs_name, point: PathBuf::from(std::ffi::OsStr::from_bytes(&unescape(point))) }))
}

/// `\040` and the like, as the kernel writes blanks in paths.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind
            .get(..3)
            .filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..b'8').contains(d)));
        if let Some([a, b, c]) = digits {
            plain.push((a - b'0').wrapping_mul(64).wrapping_add((b - b'0') * 8 + (c - b'0')));
            rest = behind.get(3..).unwrap_or_default();
        } else {
            plain.push(*first);
            rest = behind;
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::Kernel;

    #[test]
    fn mounts_are_found_by_device() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("self")).unwrap();
        let list = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
            30 22 0:50 / /scratch\\040a rw,flock shared:1 - lustre 10.0.0.1@tcp:10.0.0.2@tcp:/scratch rw\n\
            31 22 0:51 / /mnt/ost rw - lustre /dev/sdb rw\n\
            32 22 0:52 / /home rw - lustre mgs@o2ib:/home/users rw\n";
        std::fs::write(root.path().join("self/mountinfo"), list).unwrap();
        let find = |minor| find(&Kernel, root.path(), libc::makedev(0, minor));
        let scratch = Mount { fs_name: "scratch".into(), point: "/scratch a".into() };
        assert_eq!(find(50), Some(scratch));
        assert_eq!(find(52).map(|mount| mount.fs_name), Some("home".into()));
        // Two are there, so it is not known which.
        assert_eq!(find(99), None);
        assert_eq!(super::find(&Kernel, &root.path().join("absent"), 1), None);
    }
}
