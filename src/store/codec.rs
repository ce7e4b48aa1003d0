//! Values as bytes: a checksum, then JSON, so that an operator can read them with any tool.
//!
//! The file has checksums of its own for each page, which are verified when it is opened. Those of values cover what
//! lies between: a value that is read is the value that was written, or an error.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tarazu_layout::hash;

/// Bytes of the checksum before each value.
const CHECKSUM_BYTES: usize = 8;

/// Bytes of one value: an inventory of 8192 targets has about 1 MiB.
const VALUE_BYTES_MAX: usize = 16 << 20;

/// A value under its key.
pub(super) fn encode<T: Serialize>(key: &str, value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let text = serde_json::to_vec(value)?;
    let mut bytes = checksum(key, &text).to_le_bytes().to_vec();
    bytes.extend_from_slice(&text);
    Ok(bytes)
}

/// The value again, or what is wrong with it.
pub(super) fn decode<T: DeserializeOwned>(key: &str, bytes: &[u8]) -> Result<T, String> {
    let Some((sum, text)) = bytes.split_first_chunk::<CHECKSUM_BYTES>() else {
        return Err(format!("the value of {key} has only {} bytes", bytes.len()));
    };
    if text.len() > VALUE_BYTES_MAX {
        return Err(format!("the value of {key} has {} bytes", text.len()));
    }
    if u64::from_le_bytes(*sum) != checksum(key, text) {
        return Err(format!("the checksum of {key} is wrong"));
    }
    serde_json::from_slice(text).map_err(|error| format!("the value of {key} cannot be read: {error}"))
}

/// Covers the key too: a value under another key is as wrong as another value.
fn checksum(key: &str, text: &[u8]) -> u64 {
    hash::combine(hash::bytes(key.as_bytes()), hash::bytes(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_comes_back_and_any_changed_bit_is_seen() {
        let bytes = encode("key", &vec![1_u32, 2, 3]).unwrap();
        assert_eq!(decode::<Vec<u32>>("key", &bytes), Ok(vec![1, 2, 3]));
        assert!(decode::<Vec<u32>>("kez", &bytes).unwrap_err().contains("checksum of kez"));
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<Vec<u32>>("key", &flipped).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(decode::<Vec<u32>>("key", &bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn another_type_is_refused() {
        let bytes = encode("key", &"text").unwrap();
        assert!(decode::<Vec<u32>>("key", &bytes).unwrap_err().contains("cannot be read"));
    }
}
