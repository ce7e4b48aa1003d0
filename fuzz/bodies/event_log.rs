//! What reading any bytes as a controller's event log must hold.
//!
//! Compiled into the fuzz target and, by path, into the test that replays its corpus; both have the module `record`.

use prost::Message;
use tarazu_proto::v1::{Recorded, recorded::What};

use crate::record::LogReader;

/// A log is refused with a reason, or its messages are in order and written again they are read again. Whether its head was read.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let mut reader = match LogReader::new(bytes, "input".into()) {
        Ok(reader) => reader,
        Err(error) => {
            assert!(error.to_string().contains("input"));
            return false;
        }
    };
    let head = Recorded { now_ns: 0, what: Some(What::Head(reader.head().clone())) };
    let mut again = head.encode_length_delimited_to_vec();
    let (mut messages, mut before_ns) = (0_u64, 0);
    loop {
        match reader.read() {
            Ok(Some(message)) => {
                assert!(message.now_ns >= before_ns && message.what.is_some());
                (messages, before_ns) = (messages + 1, message.now_ns);
                again.extend(message.encode_length_delimited_to_vec());
            }
            Ok(None) => break,
            Err(error) => {
                assert!(error.to_string().contains("input at byte"));
                assert!(matches!(reader.read(), Ok(None)), "nothing comes behind an error");
                break;
            }
        }
    }
    assert!(reader.truncated_at().is_none_or(|at| at < bytes.len() as u64));
    let mut second = LogReader::new(again.as_slice(), "input".into()).expect("what was written is a log");
    while second.read().expect("what was written is read").is_some() {
        messages -= 1;
    }
    assert!(messages == 0 && second.truncated_at().is_none());
    true
}
