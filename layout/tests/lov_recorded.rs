//! Layouts recorded on a real Lustre against what its own tool says of them.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use std::fs;
use std::path::{Path, PathBuf};

use tarazu_layout::lov::{self, Mirror, Request, Stored, Wanted};
use tarazu_layout::{Component, Extent, Layout, OstIndex, Pattern};

fn fixture(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The attribute's bytes in what `getfattr -e hex` prints.
fn recorded(name: &str) -> Vec<u8> {
    let text = fixture(&format!("getfattr.{name}.txt"));
    let line = text.lines().find_map(|line| line.strip_prefix("lustre.lov=0x")).unwrap();
    (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()).collect()
}

/// One component as `lfs getstripe -y` prints it; fields that are absent are 0.
#[derive(Clone, Debug, Default)]
struct Said {
    id: u32,
    is_initialised: bool,
    start: u64,
    end: Option<u64>,
    count: u16,
    size: u64,
    pattern: String,
    generation: u16,
    /// OST index and object id (sequence, number).
    objects: Vec<(u32, u64, u32)>,
}

/// Whether it is composite, its generation, its components.
fn said(name: &str) -> (bool, u32, Vec<Said>) {
    let text = fixture(&format!("getstripe-y.{name}.txt"));
    let composite = text.contains("lcm_entry_count");
    let mut generation = 0;
    let mut components =
        if composite { vec![] } else { vec![Said { is_initialised: true, ..Said::default() }] };
    for line in text.lines() {
        let Some((field, value)) = line.trim().trim_start_matches("- ").split_once(':') else { continue };
        let value = value.trim();
        if field == "lcme_id" {
            components.push(Said { id: value.parse().unwrap_or(0), ..Said::default() });
        }
        // -1 is all targets.
        let count = || value.parse::<i32>().unwrap() as u16;
        let Some(last) = components.last_mut() else {
            if field == "lcm_layout_gen" {
                generation = value.parse().unwrap();
            }
            continue;
        };
        match field {
            "lcme_flags" => last.is_initialised = value == "init",
            "lcme_extent.e_start" => last.start = value.parse().unwrap(),
            "lcme_extent.e_end" => last.end = value.parse().ok(),
            "lmm_stripe_count" | "stripe_count" => last.count = count(),
            "lmm_stripe_size" | "stripe_size" => last.size = value.parse().unwrap(),
            "lmm_pattern" | "pattern" => last.pattern = value.to_owned(),
            "lmm_layout_gen" => last.generation = value.parse().unwrap(),
            "l_ost_idx" => last.objects.push((value.parse().unwrap(), 0, 0)),
            "l_fid" => {
                let parts: Vec<_> = value.split(':').map(|part| part.trim_start_matches("0x")).collect();
                let object = last.objects.last_mut().unwrap();
                object.1 = u64::from_str_radix(parts[0], 16).unwrap();
                object.2 = u32::from_str_radix(parts[1], 16).unwrap();
            }
            _ => {}
        }
    }
    (composite, generation, components)
}

fn pattern(text: &str) -> Pattern {
    match text {
        "raid0" | "" => Pattern::Raid0,
        "raid0,overstriped" => Pattern::Overstriped,
        "mdt" => Pattern::Mdt,
        other => panic!("pattern {other}"),
    }
}

/// What the tool says, in the codec's words.
fn expected(name: &str) -> Stored {
    let (_, generation, components) = said(name);
    let mut mirrors: Vec<Mirror> = Vec::new();
    for said in components {
        let id = (said.id >> 16) as u16;
        if mirrors.last().is_none_or(|mirror| mirror.id != id) {
            let layout = Layout { components: vec![] };
            mirrors.push(Mirror { id, is_stale: false, layout, initialised: vec![] });
        }
        let mirror = mirrors.last_mut().unwrap();
        mirror.initialised.push(said.is_initialised);
        mirror.layout.components.push(Component {
            extent: Extent { start: said.start, end: said.end },
            stripe_size: said.size,
            stripe_count: u32::from(said.count),
            pattern: pattern(&said.pattern),
            pool: None,
            stripes: said.objects.iter().map(|object| OstIndex(object.0)).collect(),
        });
    }
    Stored { generation, mirrors }
}

/// The attribute of a file of which the tool says this, written down from the structures' definitions alone.
fn built(name: &str) -> Vec<u8> {
    let (composite, generation, components) = said(name);
    let blob = |said: &Said| {
        let word = if pattern(&said.pattern) == Pattern::Overstriped { 0x201u32 } else { 1 };
        let mut bytes = 0x0BD1_0BD0u32.to_le_bytes().to_vec();
        bytes.extend(word.to_le_bytes());
        bytes.extend([0; 16]);
        bytes.extend((said.size as u32).to_le_bytes());
        bytes.extend(said.count.to_le_bytes());
        bytes.extend([0xFF, 0xFF]);
        for (index, sequence, number) in &said.objects {
            bytes.extend(sequence.to_le_bytes());
            bytes.extend(number.to_le_bytes());
            bytes.extend([0; 8]);
            bytes.extend(index.to_le_bytes());
        }
        bytes
    };
    if !composite {
        return blob(&components[0]);
    }
    let blobs: Vec<_> = components.iter().map(blob).collect();
    let mut at = 32 + 48 * components.len();
    let whole = at + blobs.iter().map(Vec::len).sum::<usize>();
    let mirrors =
        components.iter().map(|said| said.id >> 16).collect::<std::collections::BTreeSet<_>>().len();
    let mut bytes = 0x0BD6_0BD0u32.to_le_bytes().to_vec();
    bytes.extend((whole as u32).to_le_bytes());
    bytes.extend(generation.to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend((components.len() as u16).to_le_bytes());
    bytes.extend((mirrors as u16 - 1).to_le_bytes());
    bytes.resize(32, 0);
    for (said, blob) in components.iter().zip(&blobs) {
        bytes.extend(said.id.to_le_bytes());
        bytes.extend(if said.is_initialised { 0x10u32 } else { 0 }.to_le_bytes());
        bytes.extend(said.start.to_le_bytes());
        bytes.extend(said.end.unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend((at as u32).to_le_bytes());
        bytes.extend((blob.len() as u32).to_le_bytes());
        bytes.extend([0; 16]);
        at += blob.len();
    }
    bytes.extend(blobs.concat());
    bytes
}

#[test]
fn recorded_bytes_say_what_the_tool_says() {
    for name in ["c2_f0", "pfl_f0"] {
        assert_eq!(lov::read_file(&recorded(name)).unwrap(), expected(name), "{name}");
    }
    assert_eq!(lov::read_file(&recorded("c2_f0")).unwrap().first_list(), [OstIndex(6), OstIndex(7)]);
}

/// The builder of this test is right: it makes the recorded bytes again, but for the file's own id.
#[test]
fn built_bytes_are_the_recorded_ones() {
    let mut plain = recorded("c2_f0");
    plain[8..24].fill(0);
    assert_eq!(built("c2_f0"), plain);
    assert_eq!(built("pfl_f0"), recorded("pfl_f0"));
}

#[test]
fn every_kind_that_the_tool_shows_is_read() {
    for name in ["c1_f0", "c4_f0", "all_f0", "over_f0", "exp_f0", "pfl_small", "mirr"] {
        let stored = lov::read_file(&built(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(stored, expected(name), "{name}");
    }
    let small = lov::read_file(&built("pfl_small")).unwrap();
    assert_eq!(small.mirrors[0].initialised, [true, false, false]);
    assert_eq!(small.mirrors[0].layout.components[2].stripe_count, 0xFFFF);
    assert_eq!(lov::read_file(&built("mirr")).unwrap().mirrors.len(), 2);
}

/// A stale first copy is not the one to look at.
#[test]
fn the_main_copy_is_one_that_is_up_to_date() {
    let mut bytes = built("mirr");
    assert_eq!(lov::read_file(&bytes).unwrap().first_list(), [OstIndex(7)]);
    bytes[32 + 4] |= 1;
    assert_eq!(lov::read_file(&bytes).unwrap().first_list(), [OstIndex(0), OstIndex(1)]);
}

/// What the tool says of folders, asked for and read back.
#[test]
fn defaults_of_folders_come_back() {
    for name in ["dir_c2", "dir_pfl", "dir_root"] {
        let components = said(name).2.into_iter().map(|said| Wanted {
            extent: Extent { start: said.start, end: said.end },
            pattern: pattern(&said.pattern),
            stripe_size: said.size as u32,
            stripe_count: said.count,
            ..Wanted::anything()
        });
        let request = Request { components: components.collect() };
        let bytes = lov::encode(&request).unwrap();
        assert_eq!(lov::read_default(&bytes), Ok(request), "{name}");
    }
}

#[test]
fn every_cut_of_the_recorded_bytes_is_refused() {
    for bytes in [recorded("c2_f0"), recorded("pfl_f0")] {
        for length in 0..bytes.len() {
            // A plain layout without its objects is one that is not initialised.
            let is_whole = length == 32 && bytes[2] == 0xD1;
            assert_eq!(lov::read_file(&bytes[..length]).is_ok(), is_whole, "{length} bytes");
        }
    }
}
