//! Foreign names and numbers in sentences and commands.

/// A foreign name for a screen: control characters, which could move the cursor, are escaped.
pub(super) fn printable(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for c in name.chars() {
        if c.is_control() { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// A name as one word of a shell command.
pub(super) fn shell(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:=@%".contains(c);
    if !name.is_empty() && !name.starts_with('-') && name.chars().all(plain) {
        return name.to_owned();
    }
    format!("'{}'", printable(name).replace('\'', "'\\''"))
}

/// The folder of a file, `None` for a name without one.
pub(super) fn folder(name: &str) -> Option<&str> {
    match name.rsplit_once('/')? {
        ("", _) => Some("/"),
        (folder, _) => Some(folder),
    }
}

/// Seconds with as many digits as make sense: `0.4 ms`, `42 ms`, `4.2 s`, `510 s`.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        s if s >= 100.0 => format!("{s:.0} s"),
        s if s >= 1.0 => format!("{s:.1} s"),
        s if s >= 0.01 => format!("{:.0} ms", s * 1e3),
        s => format!("{:.1} ms", s * 1e3),
    }
}

/// A share as percent: `93 %`, `0.4 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 || percent == 0.0 { format!("{percent:.0} %") } else { format!("{percent:.1} %") }
}

/// How many times one number is another, at most a million where the other is almost nothing.
pub(super) fn ratio(number: f64, usual: f64) -> f64 {
    (number / usual.max(f64::MIN_POSITIVE)).min(1e6)
}

/// How many times: `46 times`, `3.1 times`.
pub(super) fn times(factor: f64) -> String {
    if factor >= 10.0 { format!("{factor:.0} times") } else { format!("{factor:.1} times") }
}

/// The middle of a sorted slice, the mean of the two middle ones where the count is even; 0 where empty.
pub(super) fn median_of_sorted(sorted: &[f64]) -> f64 {
    let Some(upper) = sorted.get(sorted.len() / 2) else { return 0.0 };
    match sorted.len() % 2 {
        1 => *upper,
        _ => f64::midpoint(*upper, sorted[sorted.len() / 2 - 1]),
    }
}

/// The median of finite values.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&sorted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_their_word() {
        assert_eq!(shell("/scratch/a.h5"), "/scratch/a.h5");
        assert_eq!(shell("/s/a b"), "'/s/a b'");
        assert_eq!(shell("/s/it's; rm x"), "'/s/it'\\''s; rm x'");
        assert_eq!(shell("-rf"), "'-rf'");
        assert_eq!(shell(""), "''");
        assert_eq!(shell("/s/\u{1b}[2J"), "'/s/\\u{1b}[2J'");
        assert_eq!(printable("a\nb"), "a\\nb");
    }

    #[test]
    fn folders() {
        assert_eq!(folder("/a/b/c"), Some("/a/b"));
        assert_eq!(folder("/c"), Some("/"));
        assert_eq!(folder("c"), None);
    }

    #[test]
    fn numbers() {
        assert_eq!(
            (seconds(510.4), seconds(4.21), seconds(0.0421)),
            ("510 s".into(), "4.2 s".into(), "42 ms".into())
        );
        assert_eq!(
            (percent(0.934), percent(0.004), percent(0.0)),
            ("93 %".into(), "0.4 %".into(), "0 %".into())
        );
        assert_eq!((times(46.4), times(3.12)), ("46 times".into(), "3.1 times".into()));
        assert_eq!((median([3.0, 1.0, 2.0]), median([4.0, 1.0, 2.0, 3.0]), median([])), (2.0, 2.5, 0.0));
    }
}
