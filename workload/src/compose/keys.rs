//! Values of a day file that come in two forms.

use std::fmt;
use std::path::PathBuf;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::StripeShare;

/// One path, or a list of them.
#[derive(Debug)]
pub(super) struct Paths(pub(super) Vec<PathBuf>);

impl<'de> Deserialize<'de> for Paths {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Paths;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a path or a list of paths")
            }

            fn visit_str<E: Error>(self, path: &str) -> Result<Paths, E> {
                Ok(Paths(vec![path.into()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Paths, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Paths)
            }
        }
        from.deserialize_any(Seen)
    }
}

/// One stripe count for all jobs, or shares of jobs with their counts.
#[derive(Clone, Debug)]
pub(super) struct Stripes(pub(super) Vec<StripeShare>);

/// An entry of the list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ShareFile {
    share: f64,
    count: u32,
}

impl<'de> Deserialize<'de> for Stripes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> Visitor<'de> for Seen {
            type Value = Stripes;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a stripe count or a list such as [{ share = 0.99, count = 1 }, { share = 0.01, count = 8 }]")
            }

            fn visit_i64<E: Error>(self, count: i64) -> Result<Stripes, E> {
                let count = u32::try_from(count).map_err(|_| E::custom("a stripe count from 1"))?;
                Ok(Stripes(vec![StripeShare { share: 1.0, count }]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Stripes, A::Error> {
                let list: Vec<ShareFile> = Vec::deserialize(SeqAccessDeserializer::new(list))?;
                let shares =
                    list.into_iter().map(|entry| StripeShare { share: entry.share, count: entry.count });
                Ok(Stripes(shares.collect()))
            }
        }
        from.deserialize_any(Seen)
    }
}
