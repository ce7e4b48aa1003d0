//! Builds an uncompressed Darshan log around an input, so that mutations reach the records instead of ending at a checksum.
//!
//! The input: one byte of format and byte order, one of flags, then sections of module, record version, length (two bytes,
//! least significant first) and body. Compiled into the fuzz targets and, by path, into the test that replays their corpus.

/// Sections that are no module's region.
const NAMES: u8 = 254;
const JOB: u8 = 255;

const MAGIC: u64 = 6_567_223;
const FORMATS: [&[u8; 5]; 5] = [b"3.00\0", b"3.10\0", b"3.20\0", b"3.21\0", b"3.41\0"];

/// Bytes of metadata between the numbers of a job record and its text.
const METADATA_BYTES: usize = 1024;

/// A log, and whether there was enough input for one.
pub(crate) fn build(input: &[u8]) -> Option<Vec<u8>> {
    let (&[kind, flags], mut rest) = input.split_first_chunk::<2>()?;
    let format = usize::from(kind & 7) % FORMATS.len();
    let big = kind & 8 != 0;
    let newest = format == FORMATS.len() - 1;
    let modules = if newest { 64 } else { 16 };
    let header_bytes = if newest { 1328 } else { 360 };
    let word = |value: u64| if big { value.to_be_bytes() } else { value.to_le_bytes() };

    let mut job: Option<&[u8]> = None;
    let mut sections: Vec<(usize, u8, &[u8])> = Vec::new();
    let mut names: &[u8] = &[];
    while let Some((&[tag, version, low, high], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(after.len());
        let (body, next) = after.split_at(length);
        rest = next;
        match tag {
            JOB => job = Some(body),
            NAMES => names = body,
            // The last section of a module counts, as in the map of a header.
            tag => {
                let module = usize::from(tag) % modules;
                sections.retain(|(other, ..)| *other != module);
                sections.push((module, version, body));
            }
        }
    }

    let job = job.map_or_else(|| usual_job(newest, word), <[u8]>::to_vec);
    let mut map = vec![(0, 0, 0); modules];
    let mut at = header_bytes + job.len();
    let names_at = at;
    at += names.len();
    for (module, version, body) in &sections {
        map[*module] = (at, body.len(), *version);
        at += body.len();
    }

    let mut log = Vec::with_capacity(at);
    log.extend_from_slice(FORMATS[format]);
    log.resize(8, 0);
    log.extend(word(MAGIC));
    log.extend([2, 0, 0, 0]);
    if newest {
        log.extend([0; 4]);
        log.extend(word(u64::from(flags)));
    } else {
        // A half word: the upper or lower half of a word, as the order has it.
        let bytes = word(u64::from(flags));
        log.extend_from_slice(if big { &bytes[4..] } else { &bytes[..4] });
    }
    for (offset, length) in
        std::iter::once((names_at, names.len())).chain(map.iter().map(|(at, length, _)| (*at, *length)))
    {
        log.extend(word(offset as u64));
        log.extend(word(length as u64));
    }
    for (.., version) in &map {
        let bytes = word(u64::from(*version));
        log.extend_from_slice(if big { &bytes[4..] } else { &bytes[..4] });
    }
    debug_assert_eq!(log.len(), header_bytes);
    log.extend(job);
    log.extend_from_slice(names);
    for (.., body) in &sections {
        log.extend_from_slice(body);
    }
    Some(log)
}

/// A job of four processes that ran for ten seconds, with mounts to keep and to leave out.
fn usual_job(newest: bool, word: impl Fn(u64) -> [u8; 8]) -> Vec<u8> {
    let numbers: &[u64] = if newest { &[1000, 100, 0, 110, 0, 4, 7] } else { &[1000, 100, 110, 4, 7] };
    let mut job: Vec<u8> = numbers.iter().flat_map(|number| word(*number)).collect();
    let numbers_bytes = job.len();
    job.extend_from_slice(b"lib_ver=3.5.0\nh=romio_no_indep_rw=true\n");
    job.resize(numbers_bytes + METADATA_BYTES, 0);
    job.extend_from_slice(b"/bin/app -a\nlustre\t/scratch\nnfs\t/home\noverlay\t/\n\0");
    job
}
