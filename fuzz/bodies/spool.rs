//! What reading any bytes as a spool file must hold.
//!
//! Compiled into the fuzz target and, by path, into the test that replays its corpus.

use tarazu::spool::{DAMAGES_MAX, Decoded, RECORD_BYTES_MAX, decode, encode};

/// The bytes as they are, and as the contents of records with right lengths and checksums, which no fuzzer would find.
/// Records read from the second.
pub(crate) fn check(bytes: &[u8]) -> usize {
    held(bytes);
    held(&sealed(bytes)).records.len()
}

/// Every record that is read can be written, and comes back the same.
fn held(bytes: &[u8]) -> Decoded {
    let read = decode(bytes);
    assert!(read.damaged as usize <= DAMAGES_MAX);
    // The shortest record has 48 bytes.
    assert!(read.records.len() * 48 <= bytes.len());
    for record in &read.records {
        let written = encode(record).expect("what was read can be written");
        assert!(written.len() <= RECORD_BYTES_MAX);
        assert_eq!(decode(&written), Decoded { records: vec![record.clone()], damaged: 0 });
    }
    read
}

/// Records of pieces: two bytes of length, then what follows the length in a record.
fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut rest = bytes;
    while let Some((length, behind)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(behind.len());
        let (content, behind) = behind.split_at(length);
        rest = behind;
        let Ok(stated) = u16::try_from(6 + content.len() + 4) else { break };
        let record = [b"TZR1".as_slice(), &stated.to_le_bytes(), content].concat();
        file.extend_from_slice(&record);
        file.extend_from_slice(&(tarazu_layout::hash::bytes(&record) as u32).to_le_bytes());
    }
    file
}
