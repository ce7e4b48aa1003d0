//! Numbers as people write them: byte sizes with binary units, seconds with up to nine decimals.

use std::time::Duration;

/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

/// Reads `65536`, `64K`, `64KiB`, `1M`, `1MiB`, … `1E`. All units are binary, as in IOR and `lfs`.
pub(crate) fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_suffix("iB").unwrap_or(unit);
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        "P" => 50,
        "E" => 60,
        _ => return None,
    };
    // `number` of `iB` alone, or of an empty text, is empty and fails here.
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Reads seconds as nanoseconds: exactly where written as a decimal, rounded half up behind the ninth
/// place; `1e-5` and the like by way of `f64`. Negative, infinite and above 2^64 ns give nothing.
pub(crate) fn parse_seconds(text: &str) -> Option<u64> {
    if text.contains(['e', 'E']) {
        let seconds: f64 = text.parse().ok()?;
        // 2^64 ns, first value that does not fit; a NaN fails both comparisons.
        let fits = (0.0..18_446_744_073.709_55).contains(&seconds);
        return fits.then(|| (seconds * 1e9).round() as u64);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits_only = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits_only(whole) || !digits_only(fraction) {
        return None;
    }
    let seconds: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let kept = &fraction[..fraction.len().min(9)];
    let scale = 10u64.pow(9 - kept.len() as u32);
    let nanos = if kept.is_empty() { 0 } else { kept.parse::<u64>().ok()? * scale };
    let round_up = fraction.as_bytes().get(9).is_some_and(|digit| *digit >= b'5');
    seconds.checked_mul(NANOS)?.checked_add(nanos)?.checked_add(u64::from(round_up))
}

/// Seconds with nine decimals, so that [`parse_seconds`] gives the same nanoseconds back.
pub(crate) fn format_seconds(nanos: u64) -> String {
    format!("{}.{:09}", nanos / NANOS, nanos % NANOS)
}

/// Nanoseconds of a span, `None` beyond 2^64 (584 years).
pub(crate) fn span_nanos(span: Duration) -> Option<u64> {
    u64::try_from(span.as_nanos()).ok()
}

/// A number with its noun in the right form: `1 file`, `2 files`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_have_binary_units() {
        let rows = [("0", 0), ("65536", 65_536), ("64K", 65_536), ("64KiB", 65_536), ("1m", 1 << 20)];
        for (text, bytes) in rows {
            assert_eq!(parse_bytes(text), Some(bytes), "{text}");
        }
        assert_eq!(parse_bytes("8E"), Some(1 << 63));
        for text in ["", "K", "iB", "-1", "1.5M", "1MB", "16E", "99999999999999999999", "1 M", "1\u{212a}"] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn seconds_are_exact_as_decimals() {
        let rows = [("0", 0), ("1.5", 1_500_000_000), (".25", 250_000_000), ("7.", 7_000_000_000)];
        for (text, nanos) in rows {
            assert_eq!(parse_seconds(text), Some(nanos), "{text}");
        }
        assert_eq!(parse_seconds("0.30000000000000004"), Some(300_000_000));
        assert_eq!(parse_seconds("0.0000000005"), Some(1));
        assert_eq!(parse_seconds("1e-05"), Some(10_000));
        for text in ["", ".", "-1", "+1", "1s", "nan", "inf", "1e99", "-1e-5", "18446744074", "1.2.3", "é"] {
            assert_eq!(parse_seconds(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn seconds_come_back(nanos in any::<u64>()) {
            prop_assert_eq!(parse_seconds(&format_seconds(nanos)), Some(nanos));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = (parse_bytes(&text), parse_seconds(&text));
        }
    }
}
