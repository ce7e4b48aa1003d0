//! The CSV format `tarazu.workload/1`: hand-written forms, identity of write and read, errors, limits.

use std::io::Read;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use tarazu_layout::{Component, Extent, JobId, Layout, NodeId, OstIndex, Pattern, PoolName, Time};
use tarazu_workload::csv_format::{CsvError, FORMAT, RECORD_BYTES_MAX, read, write, write_with_notes};
use tarazu_workload::generate::from_spec;
use tarazu_workload::{Action, File, FileId, GroupId, Job, Op, Rank, RankId, Workload};

fn parse(text: &str) -> Result<Workload, CsvError> {
    read(text.as_bytes(), "test.csv")
}

fn written(workload: &Workload) -> String {
    let mut bytes = Vec::new();
    write(workload, &mut bytes).expect("writable");
    String::from_utf8(bytes).expect("UTF-8")
}

/// The whole message, causes included.
fn message(error: &CsvError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

const MINIMAL: &str = "\
job,rank,node,start_s,op,file,offset,bytes
7,0,3,0.5,create,/out
7,1,4,0.5,open,/in
7,0,3,1.5,write,/out,0,1048576
7,1,4,2.25,read,/in,4096,100
7,0,3,1.5,sync
7,1,4,3,sync
";

#[test]
fn the_minimal_form_fills_in_what_it_leaves_out() {
    let workload = parse(MINIMAL).expect("valid");
    let job = &workload.jobs[0];
    assert_eq!((job.id, job.start, job.uid, &*job.name), (JobId(7), Time::ZERO, 0, ""));
    assert_eq!(job.ranks.iter().map(|rank| rank.node.0).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(job.groups, [vec![RankId(0), RankId(1)]]);
    let thinks: Vec<_> = job.ranks[0].ops.iter().map(|op| op.think.as_millis()).collect();
    assert_eq!(thinks, [500, 1000, 0]);
    assert_eq!(job.ranks[1].ops[1].action, Action::Read { file: FileId(1), offset: 4096, bytes: 100 });
    assert_eq!(job.ranks[1].ops[2].action, Action::Sync { group: GroupId(0) });
    let exists: Vec<_> = workload.files.iter().map(|file| (&*file.name, file.exists)).collect();
    assert_eq!(exists, [("/out", false), ("/in", true)]);
}

#[test]
fn an_end_shortens_the_think_time_behind_it() {
    let text =
        "job,rank,node,start_s,end_s,op,file,offset,bytes\n1,0,0,1,3,write,/f,0,1\n1,0,0,5,,close,/f,,\n";
    let workload = parse(text).expect("valid");
    let thinks: Vec<_> = workload.jobs[0].ranks[0].ops.iter().map(|op| op.think.as_secs()).collect();
    assert_eq!(thinks, [1, 2]);
}

#[test]
fn a_start_follows_from_the_think_time() {
    let text = "job,rank,node,think_s,op,file,offset,bytes\n1,0,0,1,write,/f,0,1\n1,0,0,0.5,close,/f\n";
    let workload = parse(text).expect("valid");
    let starts: Vec<_> = workload.jobs[0].ranks[0].ops.iter().map(|op| op.start.0).collect();
    assert_eq!(starts, [1_000_000_000, 1_500_000_000]);
}

#[test]
fn files_that_rows_only_use_exist_beforehand() {
    let rows = "1,0,0,write,/w,0,1\n1,0,0,read,/w,0,1\n1,0,0,read,/r,0,1\n1,0,0,open,/o\n1,0,0,write,/o,0,1\n1,0,0,create,/c\n";
    let workload = parse(&format!("job,rank,node,op,file,offset,bytes\n{rows}")).expect("valid");
    let exists: Vec<_> = workload.files.iter().map(|file| file.exists).collect();
    assert_eq!(exists, [false, true, true, false]);
}

#[test]
fn data_frames_and_spreadsheets_are_read() {
    let text = "\u{feff}# tarazu.workload/1,,,,,,\r\nop,file,rank,job,node,offset,bytes,start_s\r\n\r\n\
        # a comment\r\nwrite,\"/a,b\",0.0,7.0,2.0,1024.0,10.0,1e-05\r\nclose,\"/a,b\",0.0,7.0,2.0,,,0.30000000000000004\r\n";
    let workload = parse(text).expect("valid");
    assert_eq!(workload.files[0].name, "/a,b");
    let ops = &workload.jobs[0].ranks[0].ops;
    assert_eq!(ops[0].start, Time(10_000));
    assert_eq!(ops[1].start, Time(300_000_000));
    assert_eq!(ops[0].action, Action::Write { file: FileId(0), offset: 1024, bytes: 10 });
}

#[test]
fn the_samples_of_the_project_are_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../traces/csv");
    for (file, ranks, written_bytes) in [("minimal.csv", 2, 4 << 20), ("full.csv", 4, 6 << 20)] {
        let text = std::fs::read_to_string(format!("{folder}/{file}")).expect(file);
        let workload = parse(&text).expect(file);
        let totals = workload.totals();
        assert_eq!((totals.ranks, totals.written_bytes), (ranks, written_bytes), "{file}");
        assert_eq!(parse(&written(&workload)).expect("readable"), workload);
    }
}

#[test]
fn the_form_in_the_documentation_is_read() {
    let page = include_str!("../../docs/workload-csv.md");
    let example =
        page.split("```csv\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    let workload = parse(example).expect("valid");
    assert_eq!(workload.totals().written_bytes, 2 << 20);
    assert_eq!(workload.jobs[0].ranks[0].ops[3].start, Time(5_000_000_000));
    // Its table names every column that is written, and the one that is only read.
    let header = written(&workload).lines().nth(1).expect("a header").to_owned();
    for column in header.split(',').chain(["end_s"]) {
        assert!(page.contains(&format!("\n| `{column}` |")), "{column} is not documented");
    }
}

#[test]
fn errors_name_line_column_and_remedy() {
    let head = "job,rank,node,start_s,op,file,offset,bytes\n";
    let full = "record,job,rank,node,op,file,group,ranks,exists,layout,uid,name,think_s\n";
    let rows: &[(&str, &str, &str)] = &[
        ("", "", "test.csv: has no header line"),
        ("# tarazu.workload/2\n", head, "line 1: the format is tarazu.workload/2"),
        ("job,rank,think\n", "", "line 1: unknown column \"think\": remove it"),
        ("job,rank,job\n", "", "column job occurs twice"),
        ("job,op\n", "", "no column rank: add it"),
        (head, "1,0,0,1,write,/f,0,1,,,\n", "line 2: 11 cells for 8 columns: quote"),
        (head, "1,0,0,1,write,/f,0\n", "line 2, column bytes: is empty, but read and write rows need it"),
        (head, "1,0,0,1,close,/f,0\n", "line 2, column offset: is filled, but create, open, fsync and close"),
        (head, "1,0,0,1,write,/f,x,1\n", "line 2, column offset: \"x\" is not a whole number"),
        (head, "1,0,0,1,write,/f,0.5,1\n", "column offset: \"0.5\" is not a whole number"),
        (
            head,
            "1,0,0,1,write,/f,1,18446744073709551615\n",
            "column bytes: 18446744073709551615 is too large",
        ),
        (
            head,
            "1,0,0,1,read,/f,0,9223372036854775808\n1,0,0,1,read,/f,0,1\n",
            "line 3: more than 9223372036854775808 bytes",
        ),
        (head, "1,0,0,1,write,/f,1,0\n", "column bytes: 0 bytes are moved"),
        (head, "1,0,0,-1,open,/f\n", "column start_s: \"-1\" is not a number of seconds"),
        (head, "1,0,0,1,erase,/f\n", "column op: \"erase\" is not one of create"),
        (head, "1,0,0,1,,/f\n", "column op: is empty"),
        (head, "1,0,0,2,open,/f\n\n1,0,0,1,close,/f\n", "line 4, column start_s: is earlier than the rank's"),
        (head, "1,0,0,1,open,/f\n1,0,1,1,close,/f\n", "line 3, column node: says 1, but an earlier row"),
        (head, "1,0,,1,open,/f\n", "line 2, column node: no row gives the node of job 1, rank 0"),
        (head, "1,0,0,1,open,/f\n1,2,0,1,open,/f\n", "line 3: job 1 has rank 2 but no rank 1"),
        (head, "1,4000000000,0,1,open,/f\n", "column rank: 4000000000 is too large: the highest is 4194303"),
        (head, "1,0,4294967295,1,open,/f\n", "column node: 4294967295 is too large: the highest is 1048575"),
        (full, "disk,1\n", "column record: \"disk\" is not one of job, rank"),
        (full, "job,1\njob,1\n", "line 3, column job: is described a second time"),
        (full, "rank,1,0,0\nrank,1,0,0\n", "line 3, column rank: is described a second time"),
        (full, "file,,,,,/f\nfile,,,,,/f\n", "line 3, column file: is described a second time"),
        (full, "file,,,,,/f,,,maybe\n", "column exists: \"maybe\" is not one of true and false"),
        (full, "file,,,,,/f,,,,-c 0\n", "column layout: component 0 needs a stripe size"),
        (full, "job,1,0\n", "column rank: is filled, but job rows have no such value"),
        (full, "group,1,,,,,1,0\n", "column group: is group 1, but the job's next group row is number 0"),
        (full, "group,1,,,,,0,5-3\n", "column ranks: \"5-3\" is not a list of ranks"),
        (full, "group,1,,,,,0,0-4294967295\n", "more than 33554432 members of groups"),
        (full, "op,1,0,0,sync,,3\n", "column group: the job has no group 3 yet"),
        (full, "rank,1,0,0\nrank,1,1,0\ngroup,1,,,,,0,0-1\nop,1,0,0,sync,,0\n", "unequally often"),
        (full, "rank,1,0,0\ngroup,1,,,,,0,7\n", "members must be existing ranks"),
    ];
    for (head, rows, wanted) in rows {
        let error = parse(&format!("{head}{rows}")).expect_err(wanted);
        let found = message(&error);
        assert!(found.starts_with("test.csv") && found.contains(wanted), "wanted {wanted}, found {found}");
    }
}

#[test]
fn lines_are_counted_through_quotes_comments_and_line_ends() {
    let text = "# first\r\njob,rank,node,op,file\r\n\r\n# more\r\n1,0,0,open,\"/two\r\n\r\n#lines\"\r\n1,0,0,open\r\n";
    let found = message(&parse(text).expect_err("no file"));
    assert!(found.contains("line 8, column file: is empty"), "{found}");
    let workload = parse(&text.replace("open\r\n", "open,/f\r\n")).expect("valid");
    assert_eq!(workload.files[0].name, "/two\r\n\r\n#lines");
}

#[test]
fn an_unclosed_quote_does_not_swallow_the_input() {
    let head = b"job,rank,node,op,file\n1,0,0,open,\"".as_slice();
    let endless = head.chain(std::io::repeat(b'\n'));
    let found = message(&read(endless, "endless.csv").expect_err("too long"));
    assert!(found.contains("endless.csv, line 2: a record of more than 4194304 bytes"), "{found}");
    // Nor does a line without end, as a header, a row or a comment.
    for head in ["", "job,rank\n", "job,rank\n#"] {
        let error = read(head.as_bytes().chain(std::io::repeat(b'x')), "endless.csv").expect_err("too long");
        assert!(matches!(error, CsvError::Record { .. }), "{error}");
    }
}

#[test]
fn what_cannot_be_read_back_is_not_written() {
    let base = parse(MINIMAL).expect("valid");
    type Spoil = fn(&mut Workload);
    let broken: [(&str, Spoil); 8] = [
        ("unique and not empty", |workload| workload.files[1].name = "/out".into()),
        ("unique and not empty", |workload| workload.files[1].name.clear()),
        ("in order of their start", |workload| workload.jobs.push(workload.jobs[0].clone())),
        ("node numbers", |workload| workload.jobs[0].ranks[0].node = NodeId(1 << 20)),
        ("contains a space", |workload| workload.files[0].logged = Some(pooled("a b"))),
        ("1 to 64 components", |workload| workload.files[0].logged = Some(Layout { components: vec![] })),
        ("think time", |workload| workload.jobs[0].ranks[0].ops[0].think = Duration::MAX),
        ("it may have", |workload| workload.files[0].name = "x".repeat(RECORD_BYTES_MAX)),
    ];
    for (wanted, spoil) in broken {
        let mut workload = base.clone();
        spoil(&mut workload);
        let error = write(&workload, Vec::new()).expect_err(wanted);
        assert!(message(&error).contains(wanted), "wanted {wanted}, found {}", message(&error));
    }
    let mut workload = base;
    workload.jobs[0].ranks[0].ops.pop();
    assert!(matches!(write(&workload, Vec::new()), Err(CsvError::Check { .. })));
}

fn pooled(pool: &str) -> Layout {
    let mut layout = Layout::plain(1, 1 << 20);
    layout.components[0].pool = PoolName::new(pool);
    layout
}

prop_compose! {
    fn any_layout()(
        ends in vec(1u64..1 << 40, 0..4),
        open_ended in any::<bool>(),
        parts in vec((0usize..3, 1u32..9, 1u64..1 << 33, any::<bool>(), any::<u32>(), "[a-z0-9_.-]{0,15}"), 5),
    ) -> Layout {
        let mut ends = ends;
        ends.sort_unstable();
        ends.dedup();
        let mut ends: Vec<_> = ends.into_iter().map(Some).collect();
        if open_ended || ends.is_empty() {
            ends.push(None);
        }
        let mut start = 0;
        let mut components = Vec::new();
        for (end, (pattern, count, size, allocated, first, pool)) in ends.into_iter().zip(parts) {
            let pattern = [Pattern::Raid0, Pattern::Mdt, Pattern::Overstriped][pattern];
            let listed = allocated && pattern != Pattern::Mdt;
            let stripes = if listed { (0..count).map(|n| OstIndex(first ^ n)).collect() } else { Vec::new() };
            components.push(Component {
                extent: Extent { start, end },
                stripe_size: size,
                stripe_count: count,
                pattern,
                pool: PoolName::new(&pool),
                stripes,
            });
            start = end.unwrap_or(0);
        }
        Layout { components }
    }
}

fn any_action(files: u32) -> impl Strategy<Value = Action> {
    let file = (0..files).prop_map(FileId);
    (file, 0u8..6, any::<u64>(), 1u64..1 << 50).prop_map(|(file, kind, offset, bytes)| {
        let bytes = bytes.min(u64::MAX - offset).max(1);
        let offset = offset.min(u64::MAX - bytes);
        match kind {
            0 => Action::Create { file },
            1 => Action::Open { file },
            2 => Action::Read { file, offset, bytes },
            3 => Action::Write { file, offset, bytes },
            4 => Action::Fsync { file },
            _ => Action::Close { file },
        }
    })
}

prop_compose! {
    fn any_job(files: u32)(
        id in any::<u64>(), name in "\\PC{0,12}", uid in any::<u32>(), start in any::<u64>(),
        ranks in vec((0u32..1 << 20, vec((any::<u64>(), any::<u64>(), any_action(files)), 0..6)), 0..6),
        groups in vec((vec(any::<bool>(), 6), 0usize..3), 0..3),
    ) -> Job {
        let mut ranks: Vec<Rank> = ranks.into_iter().map(|(node, ops)| Rank {
            node: NodeId(node),
            ops: ops.into_iter().map(|(start, think, action)| {
                Op { start: Time(start), think: Duration::from_nanos(think), action }
            }).collect(),
        }).collect();
        let mut kept = Vec::new();
        for (flags, syncs) in groups {
            let members: Vec<_> = (0..ranks.len()).filter(|rank| flags[*rank]).collect();
            if members.is_empty() {
                continue;
            }
            for member in &members {
                for _ in 0..syncs {
                    let action = Action::Sync { group: GroupId(kept.len() as u32) };
                    ranks[*member].ops.push(Op { start: Time(uid.into()), think: Duration::ZERO, action });
                }
            }
            kept.push(members.into_iter().map(|rank| RankId(rank as u32)).collect());
        }
        Job { id: JobId(id), name, uid, start: Time(start), ranks, groups: kept }
    }
}

prop_compose! {
    fn any_workload()(
        names in prop::collection::btree_set("(/|[a-c,\"#\r\n ]|\\PC){1,10}", 1..6),
    )(
        files in vec((any::<bool>(), prop::option::of(any_layout())), names.len()),
        jobs in vec(any_job(names.len() as u32), 0..4),
        names in Just(names),
    ) -> Workload {
        let mut jobs = jobs;
        jobs.sort_by_key(|job| (job.start, job.id));
        jobs.dedup_by_key(|job| job.id);
        // Backwards, so that the order of files is not that of their names.
        let files = names.into_iter().rev().zip(files);
        let files = files.map(|(name, (exists, logged))| File { name, exists, logged }).collect();
        Workload { jobs, files }
    }
}

proptest! {
    #[test]
    fn writing_and_reading_is_identity(workload in any_workload()) {
        let text = written(&workload);
        prop_assert!(text.starts_with("# tarazu.workload/1\n"), "{}", FORMAT);
        prop_assert_eq!(parse(&text).map_err(|error| TestCaseError::fail(message(&error)))?, workload);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..300)) {
        let headed = [b"job,rank,node,op,file,record,group,ranks,layout\n".as_slice(), &bytes].concat();
        for input in [&bytes, &headed] {
            if let Ok(workload) = read(&**input, "fuzz.csv") {
                prop_assert_eq!(workload.check(), Ok(()));
            }
        }
    }

    #[test]
    fn no_mutation_makes_it_panic(
        workload in any_workload(),
        edits in vec((any::<prop::sample::Index>(), "[0-9,\"\n. a-z#-]|\u{0}|\u{e9}", any::<bool>()), 1..5),
    ) {
        let mut bytes = written(&workload).into_bytes();
        for (place, text, insert) in edits {
            let at = place.index(bytes.len());
            let end = if insert { at } else { at + 1 };
            bytes.splice(at..end, text.into_bytes());
        }
        match read(&*bytes, "fuzz.csv") {
            Ok(workload) => prop_assert_eq!(workload.check(), Ok(())),
            Err(error) => prop_assert!(message(&error).starts_with("fuzz.csv"), "{}", error),
        }
    }
}

#[test]
fn notes_are_comments() {
    let workload = from_spec("ior:nodes=1,ranks_per_node=2,block=2M", 1).expect("valid");
    let notes = ["one\nop,1,0\r\n\"quoted, and # more".to_owned(), String::new(), "é".repeat(10_000)];
    let (mut plain, mut noted) = (Vec::new(), Vec::new());
    write(&workload, &mut plain).expect("valid");
    write_with_notes(&workload, &notes, &mut noted).expect("valid");
    let (plain, noted) = (String::from_utf8(plain).expect("valid"), String::from_utf8(noted).expect("valid"));
    let lines: Vec<&str> = noted.lines().collect();
    assert_eq!(lines[1], "# note: one op,1,0  \"quoted, and # more");
    assert_eq!(lines[3].chars().count(), 8 + 4096);
    let without: Vec<&str> = lines.iter().copied().filter(|line| !line.starts_with("# note: ")).collect();
    assert_eq!(without, plain.lines().collect::<Vec<_>>());
    assert_eq!(read(noted.as_bytes(), "noted").expect("valid"), workload);
}
