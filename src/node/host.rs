//! What the host says: its boot clock, its boot id, its name, and which processes live. The one place of the daemon that
//! reads a clock.

use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::time::{ClockId, clock_gettime};
use tarazu_layout::{Time, hash};

/// Nanoseconds of one tick in which the kernel states when a process started: it has shown programs 100 ticks a second
/// on every architecture that runs compute nodes, whatever it uses inside.
const TICK_NS: u64 = 10_000_000;

/// Bytes of `/proc/PID/stat` that are read: the name has at most 64, each of the 52 numbers at most 21. The users in
/// `/proc/PID/status` stand within its first 400.
const STAT_BYTES_MAX: u64 = 2048;

/// The boot clock. It goes on through a suspend.
pub(crate) fn boot_now() -> Time {
    time_of(ClockId::Boottime)
}

/// The wall clock, for what people read.
pub(crate) fn wall_now() -> Time {
    time_of(ClockId::Realtime)
}

fn time_of(clock: ClockId) -> Time {
    let now = clock_gettime(clock);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    Time(seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0)))
}

/// Hash of the host's boot id; boot clocks of two boots cannot be compared.
pub(crate) fn boot_hash() -> std::io::Result<u64> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(hash::bytes(id.trim().as_bytes()))
}

/// The host's name as the kernel has it.
pub(crate) fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A number that tells this process from the one before it, from the system's random source.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Whether the process of user `owner` that spoke at `at` still lives. One that began later, or is another user's, has
/// only its number: anybody can name a file of records after the first process of the host.
pub(crate) fn lives(pid: u32, owner: u32, at: Time) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Both files are of one process, even where its number changes hands meanwhile.
    let Ok(process) = open(Path::new("/proc").join(pid.to_string()), flags, Mode::empty()) else {
        return false;
    };
    let started = read(&process, "stat").and_then(|stat| start_of(&stat));
    let owned = || read(&process, "status").is_some_and(|status| is_of(&status, owner));
    started.is_some_and(|started| started <= at) && owned()
}

fn read(process: &OwnedFd, name: &str) -> Option<String> {
    let file = openat(process, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = Vec::new();
    File::from(file).take(STAT_BYTES_MAX).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Whether a process is a user's, by the real or the effective user of its `/proc/PID/status`. The owner of its folder
/// would be root for one that keeps its memory from debuggers.
fn is_of(status: &str, owner: u32) -> bool {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    users.is_some_and(|users| users.split_ascii_whitespace().take(2).any(|user| user.parse() == Ok(owner)))
}

/// Field 22 of `/proc/PID/stat`. The name in field 2 may hold blanks and brackets; it ends at the last bracket. A
/// process that has ended and was not waited for (state Z or X) writes nothing more.
fn start_of(stat: &str) -> Option<Time> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let state = fields.next()?;
    let ticks: u64 = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X")).then(|| Time(ticks.saturating_mul(TICK_NS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_lives_and_a_later_one_of_its_number_would_not_count() {
        let me = std::process::id();
        let owner = rustix::process::geteuid().as_raw();
        assert!(lives(me, owner, boot_now()));
        assert!(!lives(me, owner + 1, boot_now()), "another user's");
        assert!(!lives(me, owner, Time(1)), "it started after the first nanosecond of the boot");
        assert!(!lives(u32::MAX, owner, boot_now()));
    }

    #[test]
    fn a_process_is_of_its_real_and_its_effective_user() {
        let status = "Name:\tx\nUid:\t1000\t0\t7\t8\nGid:\t5\t5\t5\t5\n";
        let users = [1000, 0, 7, 5, 100];
        assert_eq!(users.map(|user| is_of(status, user)), [true, true, false, false, false]);
        assert!(!is_of("", 0) && !is_of("Uid:", 0) && !is_of("Uid:\tx", 0));
    }

    #[test]
    fn names_with_brackets_do_not_shift_the_fields() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        assert_eq!(start_of(&format!("7 (a b) c)) {rest}")), Some(Time(4242 * TICK_NS)));
        assert_eq!(start_of(&format!("7 (x) {}", rest.replace('S', "Z"))), None);
        for bad in ["", "7 (x", "7 (x) S 1 2", "7 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 -1"] {
            assert_eq!(start_of(bad), None, "{bad}");
        }
    }
}
