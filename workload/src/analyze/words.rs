//! Foreign names and numbers in sentences and commands.

/// Whether a screen shows a character as itself: no control, nothing invisible, nothing that changes the
/// direction of what follows.
fn is_shown(c: char) -> bool {
    // Of the printable ones the library escapes these three, and marks that join the letter before them.
    matches!(c, '\'' | '"' | '\\') || c.escape_debug().len() == 1
}

/// A foreign name for a screen: what could move the cursor, or hide or reverse a part, is escaped.
pub(super) fn printable(name: &str) -> String {
    let mut safe = String::with_capacity(name.len());
    for c in name.chars() {
        if is_shown(c) { safe.push(c) } else { safe.extend(c.escape_unicode()) }
    }
    safe
}

/// A name as one word of a shell command that means exactly this name; `None` where the log's name was no
/// UTF-8, so that its bytes are lost.
pub(super) fn shell(name: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:=@%".contains(c);
    if name.is_empty() || name.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    if !name.starts_with('-') && name.chars().all(plain) {
        return Some(name.to_owned());
    }
    if name.chars().all(is_shown) {
        return Some(format!("'{}'", name.replace('\'', "'\\''")));
    }
    Some(ansi_c(name))
}

/// `$'...'` as bash, ksh and zsh read it: every byte that is not plain as two hexadecimal digits.
fn ansi_c(name: &str) -> String {
    let mut word = "$'".to_owned();
    for byte in name.bytes() {
        match byte {
            b'\'' | b'\\' => word.extend(['\\', char::from(byte)]),
            b' '..=b'~' => word.push(char::from(byte)),
            _ => word.push_str(&format!("\\x{byte:02x}")),
        }
    }
    word.push('\'');
    word
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
        let rows = [
            ("/scratch/a.h5", "/scratch/a.h5"),
            ("/s/a b", "'/s/a b'"),
            ("/s/it's; rm x", "'/s/it'\\''s; rm x'"),
            ("-rf", "'-rf'"),
            ("/s/größe", "'/s/größe'"),
            ("/s/\u{1b}[2J", "$'/s/\\x1b[2J'"),
            ("/s/a'\\\nb", "$'/s/a\\'\\\\\\x0ab'"),
            ("/s/\u{202e}5h", "$'/s/\\xe2\\x80\\xae5h'"),
        ];
        for (name, wanted) in rows {
            assert_eq!(shell(name).as_deref(), Some(wanted), "{name:?}");
        }
        assert_eq!((shell(""), shell("/s/\u{fffd}")), (None, None));
    }

    #[test]
    fn what_a_screen_would_hide_is_shown() {
        assert_eq!(printable("a\nb"), "a\\u{a}b");
        assert_eq!(printable("it's \"größe\" \\ 数据"), "it's \"größe\" \\ 数据");
        let hidden = ['\u{200b}'..='\u{200f}', '\u{202a}'..='\u{202e}', '\u{2066}'..='\u{2069}'];
        for c in hidden.into_iter().flatten().chain(['\u{feff}', '\u{2028}', '\u{e0041}']) {
            assert_eq!(printable(&c.to_string()), format!("\\u{{{:x}}}", u32::from(c)));
        }
    }

    /// The shell itself says what the word means.
    #[test]
    #[cfg(unix)]
    fn bash_reads_the_exact_name() {
        for name in ["/s/it's", "/s/\u{202e}'\\x41\n$(id)`!", "-n", "/s/a\u{301}\u{7f}1", "~/*?"] {
            let script = format!("printf %s {}", shell(name).unwrap());
            let Ok(output) = std::process::Command::new("bash").args(["-c", &script]).output() else {
                eprintln!("SKIPPED: bash is absent");
                return;
            };
            assert_eq!(String::from_utf8(output.stdout).unwrap(), name, "{script}");
        }
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
