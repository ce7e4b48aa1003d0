//! A place to test in: a run directory with a table, a file system, and a kernel that fails where it is told to.

use std::collections::BTreeMap;
use std::ffi::{CStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tarazu_layout::lov::{self, Request, Wanted};
use tarazu_layout::{FsId, JobId, OstIndex, TargetId, Time, hash};
use tarazu_table::{
    Class, FileClass, Flags, FsIdentity, JobEntry, JobName, Order, RingSpec, Stamp, TableSpec, encode,
    publish,
};

use crate::options::{Mode, Options};
use crate::session::Session;
use crate::spool::{Decoded, SPOOL_FOLDER, decode};
use crate::sys::{Errno, Kernel, Status, Sys, System};

/// The file system's name in all tests.
pub(crate) const FS: &str = "scratch";
/// The job, and the program.
pub(crate) const JOB: JobId = JobId(42);
pub(crate) const PROGRAM: &[u8] = b"sim";
/// Targets of the file system; their indices are ten times their number.
pub(crate) const TARGETS: u32 = 8;
/// Where the boot clock stands at first.
pub(crate) const START_NS: u64 = 1_000_000_000_000;
/// The target that the file system chooses itself.
pub(crate) const OWN_CHOICE: OstIndex = OstIndex(70);

/// In place of an error number: a step that panics.
pub(crate) const SLIP: i32 = -1;

const BOOT_ID: &str = "0c2c2b7e-test\n";
const LUSTRE_KIND: i64 = 0x0BD0_0BD0;
const DELAY: i32 = libc::O_NOCTTY | libc::O_ASYNC;

/// Folders of one test, removed with it.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["run/scratch", "run/placed", "proc/self", "proc/sys/kernel/random", "sys", "fs"] {
            std::fs::create_dir_all(place.at(folder)).unwrap();
        }
        chmod(&place.at("run/scratch"), 0o755);
        std::fs::write(place.at("proc/sys/kernel/random/boot_id"), BOOT_ID).unwrap();
        std::fs::write(place.at("proc/sys/kernel/hostname"), "node7\n").unwrap();
        place
    }

    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// Makes `fs` a file system of directory targets.
    pub(crate) fn with_directory_targets(self) -> Self {
        let mut mark = format!("tarazu-targets 1\nname {FS}\n");
        for target in 0..TARGETS {
            let folder = self.at(&format!("targets/{target}"));
            std::fs::create_dir_all(&folder).unwrap();
            mark.push_str(&format!("{} {}\n", target * 10, folder.display()));
        }
        std::fs::write(self.at("fs/.tarazu-targets"), mark).unwrap();
        chmod(&self.at("fs/.tarazu-targets"), 0o644);
        self
    }

    /// Says that `fs` is a mounted Lustre.
    pub(crate) fn with_lustre(self) -> Self {
        let fs = self.at("fs");
        let line = format!("30 22 0:999 / {} rw - lustre 10.0.0.1@tcp:/{FS} rw\n", fs.display());
        std::fs::write(self.at("proc/self/mountinfo"), line).unwrap();
        self
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            mode: Mode::Apply,
            run_dir: self.at("run"),
            job: Some(JOB),
            executable: Some(PROGRAM.to_vec()),
            // Machines that run tests are slow at times.
            budget: Duration::from_secs(3600),
            proc_root: self.at("proc"),
            sys_root: self.at("sys"),
            ..Options::default()
        }
    }

    /// A session in this place on this kernel.
    pub(crate) fn session(&self, system: Fake) -> Session {
        self.session_with(self.options(), system)
    }

    pub(crate) fn session_with(&self, options: Options, system: Fake) -> Session {
        Session::with_system(options, Box::new(system), &|_| None::<OsString>)
    }

    /// Publishes a table; returns its bytes.
    pub(crate) fn publish(&self, spec: &TableSpec) -> Vec<u8> {
        let bytes = published(spec, START_NS);
        self.write_table(&bytes);
        bytes
    }

    /// Puts these bytes where the table lies.
    pub(crate) fn write_table(&self, bytes: &[u8]) {
        std::fs::write(self.table(), bytes).unwrap();
        chmod(&self.table(), 0o644);
    }

    pub(crate) fn table(&self) -> PathBuf {
        self.at("run/scratch/table")
    }

    /// What was told to the daemon.
    pub(crate) fn told(&self) -> Decoded {
        let files = std::fs::read_dir(self.at(&format!("run/{SPOOL_FOLDER}"))).unwrap();
        let bytes: Vec<u8> = files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect();
        decode(&bytes)
    }
}

/// Whatever the mask of whoever runs the tests.
pub(crate) fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The bytes that a daemon on this host publishes.
pub(crate) fn published(spec: &TableSpec, received_ns: u64) -> Vec<u8> {
    let stamp = Stamp { boot_hash: hash::bytes(BOOT_ID.trim().as_bytes()), received: Time(received_ns) };
    publish(&stamp, &encode(spec).unwrap()).unwrap()
}

/// A table that knows the job: so many stripes of 1 MiB, 1 GiB expected.
pub(crate) fn spec(stripe_count: u16) -> TableSpec {
    let name = JobName {
        uid: Kernel.euid(),
        job: JOB,
        executable_hash: hash::bytes(PROGRAM),
        file: FileClass::Other,
    };
    TableSpec {
        fs: FsIdentity::new(FsId(1), FS),
        order: Order { term: 2, seq: 9 },
        interval: Duration::from_secs(5),
        flags: Flags::default(),
        targets: (0..TARGETS).map(|target| OstIndex(target * 10)).collect(),
        classes: vec![Class {
            smallest_bytes: 0,
            largest_bytes: u64::MAX,
            stripe_size: 1 << 20,
            stripe_count,
            ring_now: 0,
            ring_steady: 0,
        }],
        rings: vec![RingSpec { seed: 5, tickets: (0..TARGETS).map(TargetId).collect() }],
        jobs: vec![JobEntry {
            key: name.any_file(),
            expected_bytes: 1 << 30,
            stripe_size: 0,
            stripe_count: 0,
            class: 0,
            confidence_percent: 90,
            worthwhile: true,
            place: None,
        }],
    }
}

/// A step that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    OpenDelayed,
    OpenPlain,
    SetList,
    SetComposite,
    SetDefault,
    ReadBack,
    StatusAt,
    Unlink,
    Symlink,
    /// The delayed open makes the file and fails.
    OpenDelayedLate,
    /// Every second opening of a spool file. No step of a file's making.
    Spool,
}

impl Step {
    /// Those of a file's making that leave nothing behind where they fail.
    pub(crate) const ALL: [Self; 9] = [
        Self::OpenDelayed,
        Self::OpenPlain,
        Self::SetList,
        Self::SetComposite,
        Self::SetDefault,
        Self::ReadBack,
        Self::StatusAt,
        Self::Unlink,
        Self::Symlink,
    ];
}

/// The kernel with a Lustre on top, a clock of its own, and failures on demand.
#[derive(Default)]
pub(crate) struct Fake(std::sync::Arc<Inside>);

/// What somebody else does, and before which step.
type Meanwhile = (Step, Box<dyn FnOnce() + Send>);

#[derive(Default)]
struct Inside {
    is_lustre: bool,
    /// Files made by this test whose failures count: those under this folder.
    root: PathBuf,
    now_ns: AtomicU64,
    /// How far the clock goes at each look at it.
    tick_ns: AtomicU64,
    euid: AtomicU32,
    /// Bits of their mode that files are made without.
    umask: AtomicU32,
    /// Who owns what belongs to whoever runs the tests.
    owner: AtomicU32,
    /// System calls since they were taken last. The clock is none: it is read without one.
    calls: Mutex<Vec<&'static str>>,
    /// Openings of spool files.
    appends: AtomicU32,
    fails: Mutex<BTreeMap<Step, i32>>,
    /// What somebody else does just before a step, once.
    meanwhile: Mutex<Option<Meanwhile>>,
    layouts: Mutex<BTreeMap<(u64, u64), Vec<u8>>>,
    /// Lustre takes a layout and gives another one.
    gives_other: Mutex<bool>,
}

impl Clone for Fake {
    fn clone(&self) -> Self {
        Self(std::sync::Arc::clone(&self.0))
    }
}

impl Fake {
    pub(crate) fn new(place: &Place, is_lustre: bool) -> Self {
        let fake = Inside { is_lustre, root: place.at("fs"), ..Inside::default() };
        fake.now_ns.store(START_NS, Ordering::Relaxed);
        fake.euid.store(Kernel.euid(), Ordering::Relaxed);
        fake.owner.store(Kernel.euid(), Ordering::Relaxed);
        Self(std::sync::Arc::new(fake))
    }

    pub(crate) fn pass(&self, span: Duration) {
        self.0.now_ns.fetch_add(span.as_nanos() as u64, Ordering::Relaxed);
    }

    /// Every look at the clock takes so long.
    pub(crate) fn slow_down(&self, tick: Duration) {
        self.0.tick_ns.store(tick.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn set_euid(&self, euid: u32) {
        self.0.euid.store(euid, Ordering::Relaxed);
    }

    /// Makes this user the owner of what the test has made.
    pub(crate) fn set_owner(&self, uid: u32) {
        self.0.owner.store(uid, Ordering::Relaxed);
    }

    pub(crate) fn set_umask(&self, umask: u32) {
        self.0.umask.store(umask, Ordering::Relaxed);
    }

    /// The system calls since the last look at them.
    pub(crate) fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.0.calls.lock().unwrap())
    }

    fn count(&self, call: &'static str) {
        self.0.calls.lock().unwrap().push(call);
    }

    fn owned(&self, status: Status) -> Status {
        let is_own = status.uid == Kernel.euid();
        Status {
            uid: if is_own { self.0.owner.load(Ordering::Relaxed) } else { status.uid },
            mode: status.mode & !self.0.umask.load(Ordering::Relaxed),
            ..status
        }
    }

    pub(crate) fn fail(&self, steps: &[Step], errno: i32) {
        *self.0.fails.lock().unwrap() = steps.iter().map(|step| (*step, errno)).collect();
    }

    /// Somebody else does this just before the next such step.
    pub(crate) fn meanwhile(&self, step: Step, body: impl FnOnce() + Send + 'static) {
        *self.0.meanwhile.lock().unwrap() = Some((step, Box::new(body)));
    }

    pub(crate) fn give_other(&self) {
        *self.0.gives_other.lock().unwrap() = true;
    }

    /// Gives a folder or a file a layout.
    pub(crate) fn set_layout(&self, path: &Path, bytes: &[u8]) {
        let status = std::fs::metadata(path).unwrap();
        use std::os::unix::fs::MetadataExt;
        self.0.layouts.lock().unwrap().insert((status.dev(), status.ino()), bytes.to_vec());
    }

    /// The layout of an open file.
    pub(crate) fn layout(&self, fd: BorrowedFd<'_>) -> Option<Vec<u8>> {
        let status = Kernel.status(fd).unwrap();
        self.0.layouts.lock().unwrap().get(&(status.dev, status.ino)).cloned()
    }

    fn step(&self, step: Step) -> Sys<()> {
        // The body may come here itself, so it runs behind the lock's end.
        let meanwhile = self.0.meanwhile.lock().unwrap().take_if(|(at, _)| *at == step);
        if let Some((_, body)) = meanwhile {
            body();
        }
        let errno = self.0.fails.lock().unwrap().get(&step).copied();
        assert_ne!(errno, Some(SLIP), "as the test wants it");
        errno.map_or(Ok(()), |errno| Err(Errno(errno)))
    }

    fn is_own(&self, path: &CStr) -> bool {
        path.to_str().is_ok_and(|path| Path::new(path).starts_with(&self.0.root))
    }

    fn get(&self, key: (u64, u64), buffer: &mut [u8]) -> Sys<usize> {
        let layouts = self.0.layouts.lock().unwrap();
        let bytes = layouts.get(&key).ok_or(Errno(libc::ENODATA))?;
        buffer.get_mut(..bytes.len()).ok_or(Errno(libc::ERANGE))?.copy_from_slice(bytes);
        Ok(bytes.len())
    }

    /// Makes the layout that Lustre would on its own.
    fn instantiate(&self, fd: BorrowedFd<'_>) {
        let status = Kernel.status(fd).unwrap();
        self.0.layouts.lock().unwrap().entry((status.dev, status.ino)).or_insert_with(|| list(&[OWN_CHOICE]));
    }
}

/// The bytes of a plain layout with this list.
pub(crate) fn list(osts: &[OstIndex]) -> Vec<u8> {
    lov::encode(&Request::plain(Wanted::anything()).with_list(osts).unwrap()).unwrap()
}

/// What a file has after such a request: the objects of a list exist, everything else is Lustre's own choice.
fn stored(request: &Request) -> Vec<u8> {
    let at = request.first_on_targets().unwrap();
    let has_list = !request.components[at].list.is_empty();
    let request = if has_list { request.clone() } else { request.with_list(&[OWN_CHOICE]).unwrap() };
    let mut bytes = lov::encode(&request).unwrap();
    if request.components.len() > 1 {
        // Its flag "initialised".
        bytes[32 + 48 * at + 4] |= 0x10;
    }
    bytes
}

impl System for Fake {
    fn open_at(&self, dir: RawFd, path: &CStr, flags: i32, mode: u32) -> Sys<OwnedFd> {
        self.count("open_at");
        if flags & libc::O_APPEND != 0 && self.0.appends.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
            self.step(Step::Spool)?;
        }
        if !self.is_own(path) || flags & (libc::O_CREAT | libc::O_WRONLY | libc::O_RDWR) == 0 {
            return Kernel.open_at(dir, path, flags, mode);
        }
        let delayed = flags & DELAY == DELAY;
        self.step(if delayed { Step::OpenDelayed } else { Step::OpenPlain })?;
        let is_new = Kernel.status_at(dir, path, true).is_err();
        let fd = Kernel.open_at(dir, path, flags & !DELAY, mode)?;
        if is_new {
            // Numbers of removed files come again.
            let status = Kernel.status(fd.as_fd())?;
            self.0.layouts.lock().unwrap().remove(&(status.dev, status.ino));
        }
        if delayed {
            self.step(Step::OpenDelayedLate)?;
        }
        if self.0.is_lustre && !delayed {
            self.instantiate(fd.as_fd());
        }
        Ok(fd)
    }

    fn read_at(&self, fd: BorrowedFd<'_>, buffer: &mut [u8], offset: u64) -> Sys<usize> {
        self.count("read_at");
        Kernel.read_at(fd, buffer, offset)
    }

    fn write(&self, fd: BorrowedFd<'_>, bytes: &[u8]) -> Sys<usize> {
        self.count("write");
        Kernel.write(fd, bytes)
    }

    fn status(&self, fd: BorrowedFd<'_>) -> Sys<Status> {
        self.count("status");
        Kernel.status(fd).map(|status| self.owned(status))
    }

    fn status_at(&self, dir: RawFd, path: &CStr, follow: bool) -> Sys<Status> {
        self.count("status_at");
        if self.is_own(path) && !follow {
            self.step(Step::StatusAt)?;
        }
        Kernel.status_at(dir, path, follow).map(|status| self.owned(status))
    }

    fn kind_of(&self, path: &CStr) -> Sys<i64> {
        self.count("kind_of");
        if self.0.is_lustre { Ok(LUSTRE_KIND) } else { Kernel.kind_of(path) }
    }

    fn get_xattr(&self, fd: BorrowedFd<'_>, _: &CStr, buffer: &mut [u8]) -> Sys<usize> {
        self.count("get_xattr");
        self.step(Step::ReadBack)?;
        let status = Kernel.status(fd)?;
        self.get((status.dev, status.ino), buffer)
    }

    fn get_xattr_at(&self, path: &CStr, _: &CStr, buffer: &mut [u8]) -> Sys<usize> {
        self.count("get_xattr_at");
        let status = Kernel.status_at(libc::AT_FDCWD, path, true)?;
        self.get((status.dev, status.ino), buffer)
    }

    fn set_xattr(&self, fd: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Sys<()> {
        self.count("set_xattr");
        assert_eq!(name.to_str(), Ok(lov::XATTR));
        let request = lov::read_default(value).map_err(|_| Errno(libc::EINVAL))?;
        let at = request.first_on_targets().ok_or(Errno(libc::EINVAL))?;
        self.step(match (request.components[at].list.is_empty(), request.components.len()) {
            (false, _) => Step::SetList,
            (true, 1) => Step::SetDefault,
            (true, _) => Step::SetComposite,
        })?;
        let other = stored(&Request::plain(Wanted::anything()));
        let bytes = if *self.0.gives_other.lock().unwrap() { other } else { stored(&request) };
        let status = Kernel.status(fd)?;
        // A file that has a layout keeps it, and nothing is said.
        self.0.layouts.lock().unwrap().entry((status.dev, status.ino)).or_insert(bytes);
        Ok(())
    }

    fn unlink(&self, path: &CStr) -> Sys<()> {
        self.count("unlink");
        self.step(Step::Unlink)?;
        let status = Kernel.status_at(libc::AT_FDCWD, path, false)?;
        Kernel.unlink(path)?;
        self.0.layouts.lock().unwrap().remove(&(status.dev, status.ino));
        Ok(())
    }

    fn symlink(&self, target: &CStr, path: &CStr) -> Sys<()> {
        self.count("symlink");
        self.step(Step::Symlink)?;
        Kernel.symlink(target, path)
    }

    fn read_link(&self, path: &CStr, buffer: &mut [u8]) -> Sys<usize> {
        self.count("read_link");
        Kernel.read_link(path, buffer)
    }

    fn boot_ns(&self) -> u64 {
        let tick_ns = self.0.tick_ns.load(Ordering::Relaxed);
        self.0.now_ns.fetch_add(tick_ns, Ordering::Relaxed)
    }

    fn pid(&self) -> u32 {
        self.count("pid");
        Kernel.pid()
    }

    fn euid(&self) -> u32 {
        self.count("euid");
        self.0.euid.load(Ordering::Relaxed)
    }

    fn in_group(&self, gid: u32) -> bool {
        self.count("in_group");
        Kernel.in_group(gid)
    }
}
