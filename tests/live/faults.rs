//! Everything that can be wrong with a published table, in the run directory of a live system while clients create:
//! every create succeeds, and the reason is counted.

use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::*;
use rustix::time::{ClockId, clock_gettime};
use tarazu_layout::Time;
use tarazu_table::{Reason, Refused, STAMP_BYTES, Stamp};

/// Files of one session that meet a fault: the first looks at the table, the others live with what it found.
const FILES: u64 = 5;

/// Bytes between two places where a bit is flipped; the long tier flips in every byte.
const FLIP_EVERY: usize = 11;

/// A user who is not this one.
const SOMEBODY: u32 = 12_345;

/// Bytes of a file that is longer than any table.
const HUGE: u64 = (128 << 10) + 1;

/// Makes the fault in the folder of the file system; it is handed a sound published file.
type Make = Box<dyn Fn(&Path, &[u8])>;

struct Fault {
    name: String,
    /// Why files are left; `None` where this user reads the table all the same.
    expected: Option<Reason>,
    make: Make,
}

fn fault(name: &str, expected: Reason, make: impl Fn(&Path, &[u8]) + 'static) -> Fault {
    Fault { name: name.to_owned(), expected: Some(expected), make: Box::new(make) }
}

/// A file of other bytes.
fn bytes(name: &str, expected: Reason, change: impl Fn(&[u8]) -> Vec<u8> + 'static) -> Fault {
    fault(name, expected, move |folder, good| fs::write(folder.join("table"), change(good)).unwrap())
}

fn mode(name: &str, expected: Reason, path: &'static str, mode: u32) -> Fault {
    fault(name, expected, move |folder, _| {
        fs::set_permissions(folder.join(path), PermissionsExt::from_mode(mode)).unwrap();
    })
}

fn now() -> Time {
    let now = clock_gettime(ClockId::Boottime);
    Time(now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64)
}

/// CRC-32 as in zlib, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// The published file with a changed table and checksums that are right.
fn resealed(good: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let stamp = Published::verify(good).unwrap().stamp;
    let mut table = good[STAMP_BYTES..].to_vec();
    change(&mut table);
    let (body, checksum) = table.split_last_chunk_mut::<4>().unwrap();
    let crc = crc32(body);
    *checksum = crc.to_le_bytes();
    [&stamp.encode(crc)[..], &table].concat()
}

/// The published file with another stamp.
fn stamped(good: &[u8], change: impl FnOnce(&mut Stamp)) -> Vec<u8> {
    let held = Published::verify(good).unwrap();
    let mut stamp = held.stamp;
    change(&mut stamp);
    [&stamp.encode(held.table.checksum())[..], &good[STAMP_BYTES..]].concat()
}

fn faults_of_bytes(length: usize) -> Vec<Fault> {
    let mut faults = Vec::new();
    for kept in [0, 1, STAMP_BYTES - 1, STAMP_BYTES, STAMP_BYTES + 1, length / 2, length - 1] {
        faults
            .push(bytes(&format!("cut to {kept} bytes"), Reason::Refused, move |good| good[..kept].to_vec()));
    }
    let step = if is_full_tier() { 1 } else { FLIP_EVERY };
    for at in (0..length).step_by(step) {
        let flip = move |good: &[u8]| {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1 << (at % 8);
            bytes
        };
        faults.push(bytes(&format!("a bit flipped in byte {at}"), Reason::Refused, flip));
    }
    let mut random = Random::new("faults");
    for length in [7, 32, 100, 4096, 65_536] {
        let noise: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
        faults.push(bytes(&format!("{length} random bytes"), Reason::Refused, move |_| noise.clone()));
    }
    faults.push(bytes("text", Reason::Refused, |_| b"no table\n".to_vec()));
    faults.push(bytes("zeros", Reason::Refused, |good| vec![0; good.len()]));
    faults.push(bytes("twice", Reason::Refused, |good| [good, good].concat()));
    faults.push(bytes("one byte more", Reason::Refused, |good| [good, b"x"].concat()));
    faults.push(bytes("another version", Reason::Refused, |good| {
        let bytes = resealed(good, |table| table[8] += 1);
        assert!(matches!(Published::verify(&bytes), Err(Refused::Version { .. })));
        bytes
    }));
    faults.push(bytes("another file system's", Reason::OtherFileSystem, |good| {
        let bytes = resealed(good, |table| table[24] ^= 1);
        assert!(Published::verify(&bytes).is_ok());
        bytes
    }));
    faults.push(bytes("of another boot", Reason::OtherBoot, |good| {
        stamped(good, |stamp| stamp.boot_hash ^= 1)
    }));
    let hour_ns = 3_600_000_000_000;
    faults.push(bytes("stamped in the future", Reason::ClockBackwards, move |good| {
        stamped(good, |stamp| stamp.received = Time(now().0 + hour_ns))
    }));
    faults.push(bytes("stamped at the end of time", Reason::ClockBackwards, |good| {
        stamped(good, |stamp| stamp.received = Time(u64::MAX))
    }));
    faults
}

fn faults_of_files() -> Vec<Fault> {
    let other = |folder: &Path| folder.with_file_name("other");
    let to_link = move |folder: &Path, good: &[u8]| {
        fs::write(other(folder), good).unwrap();
        fs::remove_file(folder.join("table")).unwrap();
        symlink(other(folder), folder.join("table")).unwrap();
    };
    let folder_linked = move |folder: &Path, _: &[u8]| {
        let real = folder.with_file_name("real");
        let _ = fs::remove_dir_all(&real);
        fs::rename(folder, &real).unwrap();
        symlink(real, folder).unwrap();
    };
    let mut faults = vec![
        fault("a link to a sound one", Reason::Refused, to_link),
        fault("a link to nothing", Reason::Refused, |folder, _| {
            fs::remove_file(folder.join("table")).unwrap();
            symlink("nowhere", folder.join("table")).unwrap();
        }),
        fault("a pipe", Reason::Refused, |folder, _| {
            fs::remove_file(folder.join("table")).unwrap();
            assert!(Command::new("mkfifo").arg(folder.join("table")).status().unwrap().success());
        }),
        fault("a folder", Reason::Refused, |folder, _| {
            fs::remove_file(folder.join("table")).unwrap();
            fs::create_dir(folder.join("table")).unwrap();
        }),
        fault("huge", Reason::Refused, |folder, _| {
            File::options().write(true).open(folder.join("table")).unwrap().set_len(HUGE).unwrap();
        }),
        mode("writable by all", Reason::Refused, "table", 0o666),
        mode("writable by the group", Reason::Refused, "table", 0o664),
        mode("in a folder that all may write to", Reason::Refused, "", 0o777),
        fault("removed", Reason::NoTable, |folder, _| fs::remove_file(folder.join("table")).unwrap()),
        fault("removed with its folder", Reason::NoTable, |folder, _| fs::remove_dir_all(folder).unwrap()),
        fault("in a folder behind a link", Reason::Refused, folder_linked),
        fault("in no folder but a file", Reason::Refused, |folder, good| {
            fs::remove_dir_all(folder).unwrap();
            fs::write(folder, good).unwrap();
        }),
    ];
    let mut unreadable = mode("not to be read", Reason::NoTable, "table", 0);
    if rustix::process::geteuid().is_root() {
        // Root reads it all the same; only root can give it to somebody else.
        unreadable.expected = None;
        faults.push(fault("somebody else's", Reason::Refused, |folder, _| {
            chown(folder.join("table"), Some(SOMEBODY), None).unwrap();
        }));
        faults.push(fault("in somebody else's folder", Reason::Refused, |folder, _| {
            chown(folder, Some(SOMEBODY), None).unwrap();
        }));
    }
    faults.push(unreadable);
    faults
}

/// Puts a sound table back, received now, whatever is there.
fn restore(folder: &Path, good: &[u8]) {
    if fs::symlink_metadata(folder).is_ok_and(|found| !found.is_dir()) {
        fs::remove_file(folder).unwrap();
    }
    let _ = fs::remove_dir_all(folder);
    fs::create_dir(folder).unwrap();
    fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    let table = folder.join("table");
    fs::write(&table, stamped(good, |stamp| stamp.received = now())).unwrap();
    fs::set_permissions(&table, PermissionsExt::from_mode(0o644)).unwrap();
}

/// Files of a new session, each of which must be made: how many were steered, and why the others were left.
fn outcome(place: &Place, name: &str) -> (u64, BTreeMap<String, u64>) {
    let session = session(&place.run(), 1);
    for number in 0..FILES {
        let path = place.fs().join(format!("{name}-{number}"));
        create(&session, &path);
        remove(&path);
    }
    let (steered, left) = session.counts();
    (steered, left.iter().map(|(why, count)| (why.as_str().to_owned(), *count)).collect())
}

fn check(place: &Place, number: usize, fault: &Fault) {
    let (steered, left) = outcome(place, &format!("fault-{number}"));
    let Fault { name, expected, .. } = fault;
    let Some(reason) = expected else {
        assert_eq!((steered, left.len()), (FILES, 0), "{name}: {left:?}");
        return;
    };
    // What surprised a session makes it pause.
    let first = left.get(reason.as_str()).copied().unwrap_or(0);
    let paused = left.get("paused").copied().unwrap_or(0);
    assert!(first > 0 && first + paused == FILES && steered == 0, "{name}: {reason:?}, {steered}, {left:?}");
}

#[test]
fn no_fault_of_a_table_keeps_a_file_from_being_made() {
    let place = Place::new(4);
    let controller = Controller::start(&place, &[]);
    let _agent = place.agent(controller.grpc, "oss0", "agent", &[0, 1, 2, 3], 1 << 49);
    let run = place.run();
    controller.settled(1);
    let node = place.node(controller.grpc, "node", &run);
    controller.drain(3, "makes steering worthwhile");
    until("a first table", || published(&run));
    let job = session(&run, 1);
    advise(&job, &place).unwrap();
    steered(&job, &place, "sound");
    // Frozen, so that it does not mend what is damaged here.
    node.signal(Signal::STOP);
    let good = fs::read(table_file(&run)).unwrap();
    let folder = run.join(FS);
    let faults: Vec<Fault> = faults_of_bytes(good.len()).into_iter().chain(faults_of_files()).collect();
    let (is_over, made) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        // A process that lives through all of it.
        scope.spawn(|| create_until(&is_over, &made, &place));
        let _over = Over(&is_over);
        for (number, fault) in faults.iter().enumerate() {
            restore(&folder, &good);
            assert_eq!(outcome(&place, &format!("sound-{number}")).0, FILES, "before {}", fault.name);
            (fault.make)(&folder, &good);
            check(&place, number, fault);
            let before = made.load(Relaxed);
            until("a file of the other process", || (made.load(Relaxed) > before).then_some(()));
        }
        let away = place.path("away");
        fs::rename(&run, &away).unwrap();
        let without = fault("removed with all of the run directory", Reason::NoTable, |_, _| ());
        check(&place, faults.len(), &without);
        fs::rename(&away, &run).unwrap();
    });
    let made = made.load(Relaxed);
    eprintln!("{} faults, {made} files by a process that lived through all of them", faults.len());
    assert!(faults.len() > 40 && made >= faults.len() as u64);

    restore(&folder, &good);
    node.signal(Signal::CONT);
    let cut = |folder: &Path| fs::write(folder.join("table"), b"damaged");
    let gone = |folder: &Path| fs::remove_dir_all(folder);
    for damage in [&cut as &dyn Fn(&Path) -> std::io::Result<()>, &gone] {
        // The daemon may be about to rename a table into the folder.
        until("the damage", || damage(&folder).ok());
        until("a table that the daemon has mended", || {
            let bytes = fs::read(table_file(&run)).ok()?;
            Published::verify(&bytes).is_ok().then_some(())
        });
    }
    steered(&session(&run, 1), &place, "mended");
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

fn create_until(is_over: &AtomicBool, made: &AtomicU64, place: &Place) {
    let session = session(&place.run(), 1);
    while !is_over.load(Relaxed) {
        let path = place.fs().join(format!("long-{}", made.load(Relaxed)));
        create(&session, &path);
        remove(&path);
        made.fetch_add(1, Relaxed);
        sleep(Duration::from_millis(2));
    }
}
