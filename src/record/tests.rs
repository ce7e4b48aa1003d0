//! What is written is what is read, and any other bytes are refused or end early.

#[path = "../../fuzz/bodies/event_log.rs"]
mod event_log;
#[path = "../../fuzz/bodies/folder.rs"]
mod folder;

use std::io::{self, Read};

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use tarazu_proto::v1::{self, Head, Recorded, recorded::What};

use super::{LOG_BYTES_MAX, LogReader, ReadError, Recorder, VERSION, log_path};

fn what() -> impl Strategy<Value = What> {
    let sample =
        (any::<u32>(), any::<u64>(), vec(any::<u64>(), 0..4)).prop_map(|(server, session, bytes)| {
            let target = |read_bytes| v1::TargetSample { read_bytes, ..Default::default() };
            let targets = bytes.into_iter().map(target).collect();
            let sample =
                Some(v1::Sample { sequence: session, interval_s: 0.1, targets, ..Default::default() });
            What::Sample(v1::ServerSample { server, session, sample })
        });
    let drain = (any::<u32>(), "\\PC{0,9}", any::<bool>()).prop_map(|(ost_index, reason, given)| {
        let drain = given.then(|| v1::DrainInfo { reason, ..Default::default() });
        What::Drain(v1::DrainEvent { ost_indices: vec![ost_index], drain })
    });
    prop_oneof![
        Just(What::Tick(true)),
        any::<u64>().prop_map(What::SawTerm),
        any::<u64>().prop_map(What::Solved),
        (any::<u32>(), any::<f32>().prop_filter("NaN is not itself", |value| !value.is_nan())).prop_map(
            |(ost_index, read)| What::Judged(v1::JudgedEvent { ost_index, read: read.into(), write: 1.0 })
        ),
        sample,
        drain,
    ]
}

fn events() -> impl Strategy<Value = Vec<Recorded>> {
    vec((0..1000_u64, what()), 0..30).prop_map(|events| {
        let mut now_ns = 7;
        let next = |(more, what)| {
            now_ns += more;
            Recorded { now_ns, what: Some(what) }
        };
        events.into_iter().map(next).collect()
    })
}

fn head() -> Head {
    Head { version: VERSION, file_system: "scratch".into(), seed: 3, ..Default::default() }
}

fn log_of(events: &[Recorded]) -> Vec<u8> {
    let mut bytes = Recorded { now_ns: 7, what: Some(What::Head(head())) }.encode_length_delimited_to_vec();
    for event in events {
        bytes.extend(event.encode_length_delimited_to_vec());
    }
    bytes
}

/// All messages, where the log was cut, and the error that ended it.
fn read_all(bytes: &[u8]) -> (Vec<Recorded>, Option<u64>, Option<ReadError>) {
    let mut reader = match LogReader::new(bytes, "a log".into()) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), None, Some(error)),
    };
    let mut events = Vec::new();
    let error = loop {
        match reader.read() {
            Ok(Some(event)) => events.push(event),
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    assert!(matches!(reader.read(), Ok(None)), "nothing comes behind the end or an error");
    (events, reader.truncated_at(), error)
}

proptest! {
    #[test]
    fn what_is_written_is_read(events in events()) {
        let folder = tempfile::tempdir().unwrap();
        let path = log_path(folder.path(), "../a fs", 12);
        prop_assert_eq!(path.parent(), Some(folder.path()));
        let mut recorder = Recorder::start(&path, 7, head(), LOG_BYTES_MAX).unwrap();
        events.iter().for_each(|event| recorder.push(event));
        drop(recorder);
        prop_assert_eq!(std::fs::read(&path).unwrap(), log_of(&events));
        let mut reader = LogReader::open(&path).unwrap();
        prop_assert_eq!(reader.head(), &head());
        for event in events {
            prop_assert_eq!(reader.read().unwrap(), Some(event));
        }
        prop_assert!(reader.read().unwrap().is_none() && reader.truncated_at().is_none());
    }

    #[test]
    fn a_log_may_be_cut_anywhere(events in events(), cut in any::<prop::sample::Index>()) {
        let whole = log_of(&events);
        let head_bytes = log_of(&[]).len();
        let cut = cut.index(whole.len());
        let (read, truncated_at, error) = read_all(&whole[..cut]);
        if cut < head_bytes {
            prop_assert!(matches!(error, Some(ReadError::NotALog { .. })), "{:?}", error);
        } else {
            prop_assert!(error.is_none(), "{:?}", error);
            prop_assert_eq!(&read[..], &events[..read.len()]);
            let sound = log_of(&read).len();
            prop_assert_eq!(truncated_at, (sound < cut).then_some(sound as u64));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..200), events in events(), at in any::<prop::sample::Index>()) {
        let (_, _, error) = read_all(&bytes);
        prop_assert!(error.is_some(), "chance makes no head");
        let mut spoiled = log_of(&events);
        let at = at.index(spoiled.len());
        spoiled.splice(at..at, bytes);
        if let (_, _, Some(error)) = read_all(&spoiled) {
            prop_assert!(error.to_string().contains("a log"), "{}", error);
        }
    }
}

#[test]
fn errors_name_the_byte() {
    let tick = |now_ns| Recorded { now_ns, what: Some(What::Tick(true)) };
    let sound = log_of(&[tick(9)]);
    let with = |more: &[u8]| [sound.as_slice(), more].concat();
    let earlier = tick(8).encode_length_delimited_to_vec();
    let again = Recorded { now_ns: 9, what: Some(What::Head(head())) }.encode_length_delimited_to_vec();
    let cases: [(&str, Vec<u8>); 6] = [
        ("time falls from 9 to 8", with(&earlier)),
        ("a second head", with(&again)),
        ("says nothing", with(&[0])),
        ("length that does not end", with(&[0xff; 11])),
        ("at most 4194304", with(&[0xff, 0xff, 0xff, 0xff, 0x0f])),
        ("at byte", with(&[2, 0xff, 0xff])),
    ];
    for (text, bytes) in cases {
        let (read, _, error) = read_all(&bytes);
        let error = error.unwrap_or_else(|| panic!("{text}: no error")).to_string();
        assert!(error.contains(text) && error.contains(&format!("byte {}", sound.len())), "{text}: {error}");
        assert_eq!(read, [tick(9)], "{text}: what stands before is read");
    }
}

#[test]
fn another_version_or_file_is_told_apart() {
    let newer = Head { version: VERSION + 1, ..head() };
    let newer = Recorded { now_ns: 0, what: Some(What::Head(newer)) }.encode_length_delimited_to_vec();
    let (_, _, error) = read_all(&newer);
    assert!(matches!(error, Some(ReadError::Version { found: 2, .. })), "{error:?}");
    for other in [&b""[..], b"# a text file\nwith lines\n", b"\x7fELF\x02\x01\x01"] {
        let (_, _, error) = read_all(other);
        assert!(error.unwrap().to_string().contains("is no event log"), "{other:?}");
    }
    let missing = LogReader::open(std::path::Path::new("no-such-log")).unwrap_err().to_string();
    assert!(missing.contains("no-such-log"), "{missing}");
}

/// Gives a few bytes, then fails.
struct Fails<'a>(&'a [u8]);

impl Read for Fails<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::other("bad sector")),
            read => Ok(read),
        }
    }
}

#[test]
fn a_failing_disk_is_no_truncated_log() {
    let sound = log_of(&[]);
    let mut reader = LogReader::new(Fails(&sound), "a log".into()).unwrap();
    let error = reader.read().unwrap_err().to_string();
    assert!(error.contains("bad sector") && error.contains(&format!("byte {}", sound.len())), "{error}");
    assert_eq!(reader.truncated_at(), None);
}

#[test]
fn what_the_fuzzer_keeps_is_refused_or_read() {
    let inputs = folder::inputs("event_log");
    let read = inputs.iter().filter(|input| event_log::check(input)).count();
    assert!(read > 10 && read < inputs.len(), "{read} of {} were read", inputs.len());
}
