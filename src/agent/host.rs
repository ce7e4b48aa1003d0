//! Counters of the server as a whole. Pure.

use super::reading::Cpu;

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal. What a virtual machine's
/// guests take is part of user already. Waiting for disks is idle: those processors could work.
pub(super) fn cpu(stat: &str) -> Option<Cpu> {
    let mut words = stat.lines().next()?.split_ascii_whitespace();
    if words.next()? != "cpu" {
        return None;
    }
    let (mut all, mut idle) = (0_u64, 0_u64);
    for (place, word) in words.take(8).enumerate() {
        let ticks: u64 = word.parse().ok()?;
        all = all.checked_add(ticks)?;
        if place == 3 || place == 4 {
            idle += ticks;
        }
    }
    Some(Cpu { busy: all - idle, all })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_disks_is_idle() {
        assert_eq!(
            cpu("cpu  5216 0 8688 104752 430 0 912 0 7 0\ncpu0 1 1 1"),
            Some(Cpu { busy: 14816, all: 119_998 })
        );
        assert_eq!(cpu("cpu  x"), None);
        assert_eq!(cpu(""), None);
    }
}
