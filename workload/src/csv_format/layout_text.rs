//! A file's layout in the words of `lfs setstripe`, which administrators read fluently.
//!
//! One line of options, a component beginning at each `-E`: `-E 67108864 -c 1 -S 1048576 -o 3 -E -1 -c 4
//! -S 1048576 -p flash`. `-C` is the count of an overstriped component, `-L mdt` data on the MDT.

use std::fmt::Write;
use std::mem;

use tarazu_layout::limits::{COMPONENTS_MAX, STRIPES_MAX};
use tarazu_layout::{Component, Extent, Layout, LayoutError, OstIndex, Pattern, PoolName};

use super::error::{LayoutProblem, shown};
use crate::text::parse_bytes;

/// Lustre's stripe size where nothing else is said: 1 MiB.
const DEFAULT_STRIPE_BYTES: u64 = 1 << 20;

/// The options of one component as far as they are read.
#[derive(Default)]
struct Draft {
    /// `Some(None)` is the end of the file.
    end: Option<Option<u64>>,
    count: Option<u32>,
    overstriped: bool,
    size: Option<u64>,
    mdt: bool,
    pool: Option<PoolName>,
    stripes: Option<Vec<OstIndex>>,
}

/// Reads a layout and checks it.
pub(crate) fn parse(text: &str) -> Result<Layout, LayoutProblem> {
    let mut drafts = vec![Draft::default()];
    let mut words = text.split_whitespace();
    let mut first_option = true;
    while let Some(option) = words.next() {
        let value = words.next().ok_or_else(|| LayoutProblem::NoValue { option: shown(option) })?;
        if option == "-E" && !first_option {
            if drafts.len() == COMPONENTS_MAX {
                return Err(LayoutProblem::Rule(LayoutError::Components { found: COMPONENTS_MAX + 1 }));
            }
            drafts.push(Draft::default());
        }
        first_option = false;
        if let Some(draft) = drafts.last_mut() {
            set(draft, option, value)?;
        }
    }
    let single = drafts.len() == 1;
    let mut start = 0;
    let mut components = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let end = match draft.end {
            Some(end) => end,
            None if single => None,
            None => return Err(LayoutProblem::NoEnd),
        };
        components.push(component(draft, Extent { start, end }));
        // A component behind the end of the file fails the check below: none begins at 2^64 - 1.
        start = end.unwrap_or(u64::MAX);
    }
    let layout = Layout { components };
    layout.check().map_err(LayoutProblem::Rule)?;
    Ok(layout)
}

fn set(draft: &mut Draft, option: &str, value: &str) -> Result<(), LayoutProblem> {
    let refuse = |option, wanted| LayoutProblem::Value { option, found: shown(value), wanted };
    let once = |option, free: bool| if free { Ok(()) } else { Err(LayoutProblem::Repeated { option }) };
    match option {
        "-E" => {
            once("-E", draft.end.is_none())?;
            let end = if matches!(value, "-1" | "eof" | "EOF") {
                None
            } else {
                Some(parse_bytes(value).ok_or_else(|| refuse("-E", "a size such as 64M, or -1"))?)
            };
            draft.end = Some(end);
        }
        "-c" | "-C" => {
            once("-c", draft.count.is_none())?;
            let wanted = "a number of stripes from 0 to 2000";
            let count = value.parse().ok().filter(|count| *count as usize <= STRIPES_MAX);
            draft.count = Some(count.ok_or_else(|| refuse("-c", wanted))?);
            draft.overstriped = option == "-C";
        }
        "-S" => {
            once("-S", draft.size.is_none())?;
            draft.size = Some(parse_bytes(value).ok_or_else(|| refuse("-S", "a size such as 1M"))?);
        }
        "-L" => {
            once("-L", !mem::replace(&mut draft.mdt, true))?;
            if value != "mdt" {
                return Err(refuse("-L", "mdt"));
            }
        }
        "-p" => {
            once("-p", draft.pool.is_none())?;
            let pool = PoolName::new(value);
            draft.pool = Some(pool.ok_or_else(|| refuse("-p", "a pool name of at most 15 bytes"))?);
        }
        "-o" => {
            once("-o", draft.stripes.is_none())?;
            let wanted = "at most 2000 OST indices such as 3,7,9";
            draft.stripes = Some(parse_stripes(value).ok_or_else(|| refuse("-o", wanted))?);
        }
        _ => return Err(LayoutProblem::Option { found: shown(option) }),
    }
    Ok(())
}

fn parse_stripes(text: &str) -> Option<Vec<OstIndex>> {
    let indices = text.split(',').take(STRIPES_MAX + 1).map(|index| index.parse().ok().map(OstIndex));
    let stripes: Vec<_> = indices.collect::<Option<_>>()?;
    (stripes.len() <= STRIPES_MAX).then_some(stripes)
}

fn component(draft: Draft, extent: Extent) -> Component {
    let stripes = draft.stripes.unwrap_or_default();
    let pattern = match (draft.mdt, draft.overstriped) {
        (true, _) => Pattern::Mdt,
        (false, true) => Pattern::Overstriped,
        (false, false) => Pattern::Raid0,
    };
    // Without a count, that of the list; without both, one stripe, as `lfs` does.
    let default_count = if draft.mdt { 0 } else { (stripes.len() as u32).max(1) };
    let default_size = if draft.mdt { 0 } else { DEFAULT_STRIPE_BYTES };
    Component {
        extent,
        stripe_size: draft.size.unwrap_or(default_size),
        stripe_count: draft.count.unwrap_or(default_count),
        pattern,
        pool: draft.pool,
        stripes,
    }
}

/// Writes a layout so that [`parse`] gives the same one back; otherwise says why that cannot be.
pub(super) fn format(layout: &Layout) -> Result<String, String> {
    layout.check().map_err(|error| error.to_string())?;
    let mut text = String::new();
    for component in &layout.components {
        format_component(component, &mut text)?;
    }
    Ok(text.trim_end().to_owned())
}

fn format_component(component: &Component, text: &mut String) -> Result<(), String> {
    // Writing to a `String` cannot fail.
    let _ = match component.extent.end {
        Some(end) => write!(text, "-E {end} "),
        None => write!(text, "-E -1 "),
    };
    if component.stripe_count as usize > STRIPES_MAX {
        return Err(format!("a component has more than {STRIPES_MAX} stripes"));
    }
    match component.pattern {
        Pattern::Mdt => text.push_str("-L mdt -c "),
        Pattern::Raid0 => text.push_str("-c "),
        Pattern::Overstriped => text.push_str("-C "),
    }
    let _ = write!(text, "{} -S {} ", component.stripe_count, component.stripe_size);
    if let Some(pool) = &component.pool {
        let name = pool.as_str();
        if name.contains(char::is_whitespace) {
            return Err(format!("the pool name {name:?} contains a space"));
        }
        let _ = write!(text, "-p {name} ");
    }
    if !component.stripes.is_empty() {
        let indices: Vec<_> = component.stripes.iter().map(|stripe| stripe.0.to_string()).collect();
        let _ = write!(text, "-o {} ", indices.join(","));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_forms_have_the_defaults_of_lfs() {
        let layout = parse("-c 4").expect("valid");
        assert_eq!(layout, Layout::plain(4, 1 << 20));
        let layout = parse("-S 4M -o 7,3").expect("valid");
        assert_eq!(layout.components[0].stripe_count, 2);
        assert_eq!(layout.components[0].stripes, [OstIndex(7), OstIndex(3)]);
        let layout = parse("-E 1M -L mdt -E eof -C 4 -p flash").expect("valid");
        assert_eq!(layout.components[0].pattern, Pattern::Mdt);
        assert_eq!(layout.components[1].pattern, Pattern::Overstriped);
        assert_eq!(layout.components[1].extent, Extent { start: 1 << 20, end: None });
    }

    #[test]
    fn errors_name_the_option() {
        let rows = [
            ("-x 1", "unknown option \"-x\""),
            ("-c", "option -c needs a value"),
            ("-c 2001", "option -c has the value \"2001\""),
            ("-c 1 -c 2", "option -c occurs twice"),
            ("-c 1 -E 1M -c 1", "needs -E before each"),
            ("-S big", "a size such as 1M"),
            ("-o 1,x", "OST indices"),
            ("-p sixteen-letters!", "at most 15 bytes"),
            ("-L ost", "it takes mdt"),
            ("-E -1 -c 1 -E -1 -c 1", "component 1 is empty or does not begin"),
            ("-E 1M -c 2 -o 1", "component 0 lists another number"),
            ("-c 0", "1 to 2000 stripes"),
        ];
        for (text, wanted) in rows {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
        let many = "-E 1 -c 1 ".repeat(COMPONENTS_MAX + 1);
        assert!(matches!(parse(&many), Err(LayoutProblem::Rule(LayoutError::Components { .. }))));
    }
}
