//! Names of targets as people write them: `7`, `0x7`, `OST0007`, `scratch-OST0007`, and lists of them, `1,2-4,OST000a`.

use std::collections::BTreeSet;

use anyhow::{Context, bail, ensure};

/// Targets of one list: as many as a file system has.
const OSTS_MAX: usize = tarazu_layout::limits::TARGETS_MAX;

/// Targets that were named, with the file system where a name had one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    /// The file system of full names.
    pub(super) file_system: Option<String>,
    /// Indices, each once, rising.
    pub(super) indices: Vec<u32>,
}

/// Reads lists.
pub(super) fn parse(lists: &[String]) -> anyhow::Result<Named> {
    let mut indices = BTreeSet::new();
    let mut file_system: Option<String> = None;
    for part in lists.iter().flat_map(|list| list.split(',')) {
        let (first, last) = range(part.trim(), &mut file_system)?;
        ensure!(first <= last, "{part:?} runs backwards; write the smaller index first");
        ensure!((last - first) as usize <= OSTS_MAX, "{part:?} has more targets than a file system");
        indices.extend(first..=last);
        ensure!(indices.len() <= OSTS_MAX, "more than {OSTS_MAX} targets are named");
    }
    ensure!(!indices.is_empty(), "name a target, such as OST0007, 7, 0x7 or 1,2-4");
    Ok(Named { file_system, indices: indices.into_iter().collect() })
}

fn range(part: &str, file_system: &mut Option<String>) -> anyhow::Result<(u32, u32)> {
    if let Some((before, index)) = part.rsplit_once("-OST").filter(|(before, _)| !before.starts_with("OST")) {
        match file_system {
            Some(known) if known != before => bail!("{part:?} is of another file system than {known}"),
            _ => *file_system = Some(before.to_owned()),
        }
        let index = hexadecimal(index, part)?;
        return Ok((index, index));
    }
    match part.split_once('-') {
        Some((first, last)) => Ok((index(first, part)?, index(last, part)?)),
        None => index(part, part).map(|index| (index, index)),
    }
}

fn index(text: &str, part: &str) -> anyhow::Result<u32> {
    let text = text.trim();
    if let Some(digits) = text.strip_prefix("OST").or_else(|| text.strip_prefix("ost")) {
        return hexadecimal(digits, part);
    }
    if let Some(digits) = text.strip_prefix("0x") {
        return hexadecimal(digits, part);
    }
    let index: u32 =
        text.parse().with_context(|| format!("{part:?} is no target: write OST0007, 7, 0x7 or 2-4"))?;
    bounded(index, part)
}

fn hexadecimal(digits: &str, part: &str) -> anyhow::Result<u32> {
    let index = u32::from_str_radix(digits, 16);
    bounded(
        index
            .with_context(|| format!("{part:?} is no target: OST and 0x stand before hexadecimal digits"))?,
        part,
    )
}

fn bounded(index: u32, part: &str) -> anyhow::Result<u32> {
    ensure!(index <= tarazu_table::OST_INDEX_MAX, "{part:?} is no target: indices end at 65534");
    Ok(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<u32> {
        parse(&[text.to_owned()]).unwrap().indices
    }

    #[test]
    fn targets_are_named_as_lustre_names_them() {
        assert_eq!(read("7"), [7]);
        assert_eq!(read("0x1f"), [31]);
        assert_eq!(read("OST000a"), [10]);
        assert_eq!(read("1,2-4,7"), [1, 2, 3, 4, 7]);
        assert_eq!(read("OST0002-OST0004"), [2, 3, 4]);
        let named = parse(&["scratch-OST0007".into(), "scratch-OST000b".into()]).unwrap();
        assert_eq!((named.file_system.as_deref(), &named.indices[..]), (Some("scratch"), &[7, 11][..]));
        assert_eq!(parse(&["my-fs-OST0001".into()]).unwrap().file_system.as_deref(), Some("my-fs"));
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for wrong in ["", ",", "x", "4-2", "65535", "OSTzz", "0x", "-1", "0-99999", "a-OST1,b-OST1"] {
            assert!(parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
