//! What the host says: its boot clock, its boot id, its name, and which processes live. The one place of the daemon that
//! reads a clock.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use tarazu_layout::{Time, hash};

/// Nanoseconds of one tick in which the kernel states when a process started: it has shown programs 100 ticks a second
/// on every architecture that runs compute nodes, whatever it uses inside.
const TICK_NS: u64 = 10_000_000;

/// Bytes of `/proc/PID/stat` that are read: the name has at most 64, each of the 52 numbers at most 21.
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

/// Whether the process that spoke at `at` still lives. One that began later has only its number.
pub(crate) fn lives(pid: u32, at: Time) -> bool {
    started(pid).is_some_and(|started| started <= at)
}

fn started(pid: u32) -> Option<Time> {
    let file = std::fs::File::open(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?;
    let mut stat = Vec::new();
    file.take(STAT_BYTES_MAX).read_to_end(&mut stat).ok()?;
    start_of(&String::from_utf8_lossy(&stat))
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
        assert!(lives(me, boot_now()));
        assert!(!lives(me, Time(1)), "it started after the first nanosecond of the boot");
        assert!(!lives(u32::MAX, boot_now()));
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
