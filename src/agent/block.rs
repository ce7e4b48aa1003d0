//! Block device counters as the kernel prints them, and which device a directory lies on. Pure.

use super::reading::Latency;

/// Bytes of a sector in these counters, whatever the device's own.
const SECTOR_BYTES: u64 = 512;

/// Microseconds of a millisecond.
const MS_US: u64 = 1000;

/// Counters of one block device since it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    /// Bytes read.
    pub(super) read_bytes: u64,
    /// Bytes written.
    pub(super) written_bytes: u64,
    /// Reads and writes that ended, with the sum of their times.
    pub(super) served: Latency,
    /// Microseconds with something in flight (field 10 of `Documentation/admin-guide/iostats.rst`).
    pub(super) busy_us: u64,
    /// Integral of requests in flight, microseconds (field 11).
    pub(super) in_flight_us: u64,
}

/// The eleven numbers of `/sys/class/block/NAME/stat`, or of a line of `/proc/diskstats` behind the name.
pub(super) fn device(line: &str) -> Option<Device> {
    let mut numbers = [0_u64; 11];
    let mut words = line.split_ascii_whitespace();
    for number in &mut numbers {
        *number = words.next()?.parse().ok()?;
    }
    let [reads, _, read_sectors, read_ms, writes, _, written_sectors, write_ms, _, busy_ms, in_flight_ms] =
        numbers;
    Some(Device {
        read_bytes: read_sectors.checked_mul(SECTOR_BYTES)?,
        written_bytes: written_sectors.checked_mul(SECTOR_BYTES)?,
        served: Latency {
            count: reads.checked_add(writes)?,
            sum_us: read_ms.checked_add(write_ms)?.checked_mul(MS_US)?,
        },
        busy_us: busy_ms.checked_mul(MS_US)?,
        in_flight_us: in_flight_ms.checked_mul(MS_US)?,
    })
}

/// A device of `/proc/diskstats` by its name.
pub(super) fn of_name(diskstats: &str, name: &str) -> Option<Device> {
    diskstats.lines().find_map(|line| {
        let rest = split_words(line, 2)?;
        let (found, numbers) = rest.split_once(' ')?;
        (found == name).then(|| device(numbers)).flatten()
    })
}

/// A device's name in `/proc/diskstats` by its numbers.
pub(super) fn name_of(diskstats: &str, major: u32, minor: u32) -> Option<&str> {
    diskstats.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let numbers: (u32, u32) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        (numbers == (major, minor)).then(|| words.next()).flatten()
    })
}

/// The rest of a line behind so many words.
fn split_words(line: &str, count: usize) -> Option<&str> {
    let mut rest = line.trim_start();
    for _ in 0..count {
        rest = rest.split_once(' ')?.1.trim_start();
    }
    Some(rest)
}

/// What a mounted file system lies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Below {
    /// Major and minor number of its device.
    Numbers(u32, u32),
    /// Path of its device, where the file system has numbers of its own (Btrfs).
    Path(String),
    /// Memory, a network, another directory.
    Nothing,
}

/// What the directory lies on, by `/proc/self/mountinfo`: of the mounts above it the longest, of equal ones the last.
pub(super) fn below(mountinfo: &str, directory: &str) -> Below {
    let mut best: Option<(usize, Below)> = None;
    for line in mountinfo.lines() {
        let Some((point, found)) = mount(line) else { continue };
        let above = directory == point
            || point == "/"
            || directory.strip_prefix(&*point).is_some_and(|rest| rest.starts_with('/'));
        if above && best.as_ref().is_none_or(|(length, _)| point.len() >= *length) {
            best = Some((point.len(), found));
        }
    }
    best.map_or(Below::Nothing, |(_, found)| found)
}

/// Mount point and device of a line of mountinfo.
fn mount(line: &str) -> Option<(String, Below)> {
    let (head, tail) = line.split_once(" - ")?;
    let mut words = head.split_ascii_whitespace();
    let (major, minor) = words.nth(2)?.split_once(':')?;
    let (major, minor): (u32, u32) = (major.parse().ok()?, minor.parse().ok()?);
    let point = unescape(words.nth(1)?);
    let source = tail.split_ascii_whitespace().nth(1)?;
    let found = match (major, source.starts_with("/dev/")) {
        (1.., _) => Below::Numbers(major, minor),
        (0, true) => Below::Path(unescape(source)),
        (0, false) => Below::Nothing,
    };
    Some((point, found))
}

/// The kernel writes blanks, tabs, ends of line and backslashes as three octal digits.
fn unescape(word: &str) -> String {
    let mut plain = Vec::with_capacity(word.len());
    let bytes = word.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).filter(|_| bytes[at] == b'\\');
        let code = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        plain.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISKSTATS: &str = " 254       0 vda 10863 836 699162 14291 199 354 102136 2279 0 14020 16653 0 0 0 0 23 82\n \
                             259      32 nvme0n1 69 0 962 60 105 1840 277488 278 0 164 353 5 0 8388616 4 19 10\n";

    const MOUNTS: &str = "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n\
                          30 22 0:26 / /dev/shm rw - tmpfs tmpfs rw\n\
                          31 22 259:32 / /data/one rw - xfs /dev/nvme0n1 rw\n\
                          32 22 0:40 / /data/two\\040b rw,x shared:3 - btrfs /dev/sdb1 rw\n\
                          nonsense\n";

    #[test]
    fn a_device_is_found_by_name_and_by_number() {
        let device = of_name(DISKSTATS, "nvme0n1").unwrap();
        assert_eq!(device.read_bytes, 962 * 512);
        assert_eq!(device.written_bytes, 277_488 * 512);
        assert_eq!(device.served, Latency { count: 174, sum_us: 338_000 });
        assert_eq!((device.busy_us, device.in_flight_us), (164_000, 353_000));
        assert_eq!(of_name(DISKSTATS, "nvme0"), None);
        assert_eq!(name_of(DISKSTATS, 259, 32), Some("nvme0n1"));
        assert_eq!(name_of(DISKSTATS, 259, 33), None);
    }

    #[test]
    fn a_directory_lies_on_the_longest_mount_above_it() {
        assert_eq!(below(MOUNTS, "/data/one/ost0"), Below::Numbers(259, 32));
        assert_eq!(below(MOUNTS, "/data/onerous"), Below::Numbers(254, 1));
        assert_eq!(below(MOUNTS, "/dev/shm/x"), Below::Nothing);
        assert_eq!(below(MOUNTS, "/data/two b"), Below::Path("/dev/sdb1".to_owned()));
        assert_eq!(below("", "/data"), Below::Nothing);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "[ -~\\n\\\\é]{0,200}") {
            let _ = (device(&text), of_name(&text, "sda"), name_of(&text, 8, 0), below(&text, "/a/b"));
        }
    }
}
