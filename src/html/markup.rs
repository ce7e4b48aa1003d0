//! Text as markup: escaping, and numbers as people read them.

use std::fmt;

/// Text for an element or a quoted attribute. Names come from logs: whatever they hold, it stays text.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' | '\t' => f.write_char(letter)?,
                // Not allowed in any markup.
                _ if letter.is_control() => f.write_char('\u{fffd}')?,
                _ => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// A number with at most four significant digits, fewer for large ones.
pub(super) fn number(value: f64) -> String {
    let text = match value.abs() {
        large if large >= 1000.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    };
    signed(&text)
}

/// A change in percent with its sign: one decimal, two below 1 %.
pub(super) fn percent(value: f64) -> String {
    let text = if value.abs() < 1.0 { format!("{value:+.2}") } else { format!("{value:+.1}") };
    // Not "-0.00".
    if text.trim_start_matches(['+', '-']) == "0.00" { "0".into() } else { signed(&text) }
}

/// A hyphen is no minus sign.
fn signed(text: &str) -> String {
    text.replacen('-', "\u{2212}", 1)
}

/// A short number for an axis: no more decimals than it has.
pub(super) fn short(value: f64) -> String {
    let text = match value.abs() {
        0.0 => return "0".into(),
        tiny if tiny < 0.001 => format!("{value:.0e}"),
        small if small < 10.0 => format!("{value:.3}"),
        middle if middle < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// A place in a picture: tenths are finer than any screen shows.
pub(super) fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let hostile = "<script>\"&'\0\u{1b}é";
        assert_eq!(Text(hostile).to_string(), "&lt;script&gt;&quot;&amp;&#39;\u{fffd}\u{fffd}é");
    }

    #[test]
    fn numbers_are_short() {
        let numbers = [1234.5, -12.34, 0.1234].map(number);
        assert_eq!(numbers, ["1234", "\u{2212}12.3", "0.123"]);
        assert_eq!([-3.18, 2.0, -0.21, -0.001].map(percent), ["\u{2212}3.2", "+2.0", "\u{2212}0.21", "0"]);
        assert_eq!([0.0, 0.5, 12.0, 2500.0, 1e-5].map(short), ["0", "0.5", "12", "2500", "1e-5"]);
        assert_eq!([1.0, 1.25, -0.01].map(place), ["1", "1.2", "0"]);
    }
}
