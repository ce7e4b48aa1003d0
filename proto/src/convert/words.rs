//! Names and texts of others: bounded, and without what could break a line of a log, a label or a table.

use super::error::Invalid;
use crate::limits::{FILE_SYSTEM_NAME_MAX, HOST_NAME_MAX};

/// A file system's name: letters, digits, `-`, `_` and `.`, since it becomes a folder's name and a label.
///
/// # Errors
/// [`Invalid::Text`].
pub fn file_system_name(name: &str) -> Result<&str, Invalid> {
    plain("the file system's name", name, FILE_SYSTEM_NAME_MAX)
}

/// A host's name, of the same characters.
///
/// # Errors
/// [`Invalid::Text`].
pub fn host_name(name: &str) -> Result<&str, Invalid> {
    plain("the host's name", name, HOST_NAME_MAX)
}

fn plain<'a>(what: &'static str, name: &'a str, max: usize) -> Result<&'a str, Invalid> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_name =
        !name.is_empty() && name.len() <= max && name.bytes().all(is_plain) && !name.starts_with('.');
    if is_name { Ok(name) } else { Err(Invalid::Text { what, max, found: name.len() }) }
}

/// A text in somebody's words: at most `max` bytes, no control characters.
///
/// # Errors
/// [`Invalid::Text`].
pub fn text<'a>(what: &'static str, words: &'a str, max: usize) -> Result<&'a str, Invalid> {
    if words.len() <= max && !words.chars().any(char::is_control) {
        Ok(words)
    } else {
        Err(Invalid::Text { what, max, found: words.len() })
    }
}
