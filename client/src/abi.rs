//! The C interface: what `include/tarazu.h` declares.
//!
//! Handles are opaque, results are ints (0 or a `TARAZU_E…`), but for `tarazu_create`, which is as `open`. Nothing
//! unwinds into the caller, every pointer is checked for null, and strings are copied. A handle may be used by several
//! threads at once, but not while it is freed.

#![allow(unsafe_code, reason = "pointers of C")]

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::fd::{BorrowedFd, IntoRawFd};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ::tarazu_layout::lov::Stored;
use ::tarazu_layout::{Component, JobId};
use tarazu_table::Rank;

use crate::backend::Open;
use crate::options::Options;
use crate::session::{Expect, Files, Session};
use crate::sys::{Kernel, errno, set_errno};

/// A pointer that must not be null is, or a number lies outside its range.
pub const TARAZU_EINVAL: c_int = -1;
/// A slip inside the library; nothing was done.
pub const TARAZU_EINTERNAL: c_int = -2;
/// The mode does not allow it, or there is no daemon to tell.
pub const TARAZU_ENOTTOLD: c_int = -3;
/// The file is not there, or its layout cannot be read; `errno` says why.
pub const TARAZU_ELAYOUT: c_int = -4;

/// Options of a session.
#[allow(non_camel_case_types, reason = "its name in C")]
pub struct tarazu_options(Options);

/// A process's use of tarazu.
#[allow(non_camel_case_types, reason = "its name in C")]
pub struct tarazu_session(Session);

/// The layout of a file.
#[allow(non_camel_case_types, reason = "its name in C")]
pub struct tarazu_layout(Stored);

/// What a job expects of the files that it is about to write.
#[allow(non_camel_case_types, reason = "its name in C")]
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct tarazu_expect {
    /// A file name whose ending says which files; null for all of this program.
    pub like: *const c_char,
    /// Bytes that one file will hold.
    pub expected_bytes: u64,
    /// Most of them that one process makes in a burst.
    pub files_per_process: u32,
    /// All of them in a burst; 0 where every process makes its own.
    pub files_per_burst: u32,
    /// Bytes of one stripe unit; 0 takes what the folder says.
    pub stripe_size: u64,
    /// Stripes of a file; 0 takes what the folder says.
    pub stripe_count: u16,
    /// How sure that is, percent, 0 to 100.
    pub confidence_percent: u8,
}

/// Runs a body of ours; a panic becomes `otherwise`.
fn guarded<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(otherwise)
}

/// The C string behind a pointer.
///
/// # Safety
/// The pointer is null or leads to a string that ends in a zero and outlives the result.
unsafe fn text<'a>(pointer: *const c_char) -> Option<&'a CStr> {
    // SAFETY: not null here, and the caller vouches for the rest.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) })
}

fn path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

/// Makes options: the defaults with the environment's settings (`TARAZU_…`) over them. Null only where memory is out.
///
/// Free them with `tarazu_options_free`.
#[unsafe(no_mangle)]
pub extern "C" fn tarazu_options_new() -> *mut tarazu_options {
    guarded(std::ptr::null_mut(), || Box::into_raw(Box::new(tarazu_options(Options::from_environment()))))
}

/// Sets an option by the name of its environment variable, such as `TARAZU_MODE` to `apply`. A value that means nothing
/// gives `TARAZU_EINVAL` and changes nothing.
///
/// # Safety
/// `options` is null or from `tarazu_options_new`; the strings are null or end in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_options_set(
    options: *mut tarazu_options,
    name: *const c_char,
    value: *const c_char,
) -> c_int {
    guarded(TARAZU_EINTERNAL, || {
        // SAFETY: the caller vouches for all three pointers.
        let (options, name, value) = unsafe { (options.as_mut(), text(name), text(value)) };
        let (Some(options), Some(name), Some(value)) = (options, name, value) else { return TARAZU_EINVAL };
        let value = OsString::from(OsStr::from_bytes(value.to_bytes()));
        let is_known = std::cell::Cell::new(false);
        let given = |asked: &str| {
            let same = asked.as_bytes() == name.to_bytes();
            is_known.set(is_known.get() || same);
            same.then(|| value.clone())
        };
        let (changed, ignored) = std::mem::take(&mut options.0).with(&given);
        options.0 = changed;
        if is_known.get() && ignored.is_empty() { 0 } else { TARAZU_EINVAL }
    })
}

/// Sets rank and world, where they are not to be taken from the launcher's environment.
///
/// # Safety
/// `options` is null or from `tarazu_options_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_options_set_rank(
    options: *mut tarazu_options,
    rank: u32,
    world: u32,
) -> c_int {
    // SAFETY: the caller vouches for the pointer.
    let Some(options) = (unsafe { options.as_mut() }) else { return TARAZU_EINVAL };
    if rank >= world {
        return TARAZU_EINVAL;
    }
    options.0.rank = Some(Rank { rank, world });
    0
}

/// Sets the job, where it is not to be taken from the scheduler's environment.
///
/// # Safety
/// `options` is null or from `tarazu_options_new`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_options_set_job(options: *mut tarazu_options, job: u64) -> c_int {
    // SAFETY: the caller vouches for the pointer.
    let Some(options) = (unsafe { options.as_mut() }) else { return TARAZU_EINVAL };
    options.0.job = Some(JobId(job));
    0
}

/// Frees options; null is nothing to free.
///
/// # Safety
/// `options` is null or from `tarazu_options_new`, and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_options_free(options: *mut tarazu_options) {
    if !options.is_null() {
        // SAFETY: made by `Box::into_raw`, and the caller gives it up.
        guarded((), || drop(unsafe { Box::from_raw(options) }));
    }
}

/// Begins a session and takes the options; null options are those of the environment. Null only where memory is out:
/// without a daemon, a table or anything else every create is a plain `open`.
///
/// # Safety
/// `options` is null or from `tarazu_options_new`, and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_session_open(options: *mut tarazu_options) -> *mut tarazu_session {
    guarded(std::ptr::null_mut(), || {
        let options = if options.is_null() {
            Options::from_environment()
        } else {
            // SAFETY: made by `Box::into_raw`, and the caller gives it up.
            unsafe { Box::from_raw(options) }.0
        };
        Box::into_raw(Box::new(tarazu_session(Session::open(options))))
    })
}

/// Ends a session; null is nothing to end. Files stay open.
///
/// # Safety
/// `session` is null or from `tarazu_session_open`, and not used again by any thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_session_close(session: *mut tarazu_session) {
    if !session.is_null() {
        // SAFETY: made by `Box::into_raw`, and the caller gives it up.
        guarded((), || drop(unsafe { Box::from_raw(session) }));
    }
}

/// Says at the start of a job what its files in a folder will be.
///
/// # Safety
/// `session` is null or from `tarazu_session_open`; the strings are null or end in a zero; `expect` is null or valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_advise(
    session: *const tarazu_session,
    folder: *const c_char,
    expect: *const tarazu_expect,
) -> c_int {
    guarded(TARAZU_EINTERNAL, || {
        // SAFETY: the caller vouches for all three pointers.
        let (session, folder, expect) = unsafe { (session.as_ref(), text(folder), expect.as_ref()) };
        let (Some(session), Some(folder), Some(expect)) = (session, folder, expect) else {
            return TARAZU_EINVAL;
        };
        // SAFETY: the caller vouches for the string in it.
        let like = unsafe { text(expect.like) }.map(CStr::to_string_lossy);
        let expect = Expect {
            files: like.as_deref().map_or(Files::OfProgram, Files::Like),
            expected_bytes: expect.expected_bytes,
            files_per_process: expect.files_per_process,
            files_per_burst: expect.files_per_burst,
            stripe_count: expect.stripe_count,
            stripe_size: expect.stripe_size,
            confidence_percent: expect.confidence_percent,
        };
        match session.0.advise(path(folder), &expect) {
            Ok(()) => 0,
            Err(_) => TARAZU_ENOTTOLD,
        }
    })
}

/// Opens a file as `open(path, flags, mode)` does: a descriptor, or -1 and `errno`. Where that makes a new file it
/// lies on targets of tarazu's choice. A null session makes it a plain `open`. After a slip inside the library it is
/// the plain `open`, but for `EIO` where `O_EXCL` was asked for and the file was made before the slip. Unlike `open` it may not be called in a
/// signal handler, since it takes memory.
///
/// # Safety
/// `session` is null or from `tarazu_session_open`; `path` is null or ends in a zero.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_create(
    session: *const tarazu_session,
    path: *const c_char,
    flags: c_int,
    mode: u32,
) -> c_int {
    let before = errno();
    // SAFETY: the caller vouches for both pointers.
    let (session, Some(name)) = (unsafe { (session.as_ref(), text(path)) }) else {
        set_errno(libc::EFAULT);
        return -1;
    };
    let open = Open::new(name, flags, mode);
    let steered = || session.map_or_else(|| open.plain(&Kernel), |session| session.0.create_c(&open));
    let made = catch_unwind(AssertUnwindSafe(steered)).unwrap_or_else(|_| open.after_slip(&Kernel));
    match made {
        Ok(fd) => {
            set_errno(before);
            fd.into_raw_fd()
        }
        Err(failed) => {
            set_errno(failed.0);
            -1
        }
    }
}

/// Says that a file from `tarazu_create` is about to be closed, and how many bytes were written to it. The descriptor
/// stays open.
///
/// # Safety
/// `session` is null or from `tarazu_session_open`; `fd` is an open descriptor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_closed(
    session: *const tarazu_session,
    fd: c_int,
    written_bytes: u64,
) -> c_int {
    guarded(TARAZU_EINTERNAL, || {
        // SAFETY: the caller vouches for the pointer.
        let (Some(session), 0..) = (unsafe { session.as_ref() }, fd) else { return TARAZU_EINVAL };
        // SAFETY: not -1, and the caller vouches for the rest.
        session.0.closed(unsafe { BorrowedFd::borrow_raw(fd) }, written_bytes);
        0
    })
}

/// Reads the layout of a file into `*layout`; free it with `tarazu_layout_free`.
///
/// # Safety
/// `session` is null or from `tarazu_session_open`; `path` is null or ends in a zero; `layout` is null or may be
/// written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_layout_of(
    session: *const tarazu_session,
    path: *const c_char,
    layout: *mut *mut tarazu_layout,
) -> c_int {
    guarded(TARAZU_EINTERNAL, || {
        // SAFETY: the caller vouches for all three pointers.
        let (session, name, layout) = unsafe { (session.as_ref(), text(path), layout.as_mut()) };
        let (Some(session), Some(name), Some(layout)) = (session, name, layout) else { return TARAZU_EINVAL };
        *layout = std::ptr::null_mut();
        match session.0.layout_of(self::path(name)) {
            Ok(stored) => {
                *layout = Box::into_raw(Box::new(tarazu_layout(stored)));
                0
            }
            Err(error) => {
                set_errno(error.raw_os_error().unwrap_or(libc::EIO));
                TARAZU_ELAYOUT
            }
        }
    })
}

/// Components of a layout, of its copy that is read first.
///
/// # Safety
/// `layout` is null or from `tarazu_layout_of`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_layout_components(layout: *const tarazu_layout) -> c_int {
    // SAFETY: the caller vouches for the pointer.
    let components = unsafe { layout.as_ref() }.and_then(|layout| layout.0.main());
    components.map_or(TARAZU_EINVAL, |mirror| mirror.layout.components.len() as c_int)
}

/// # Safety
/// `layout` is null or from `tarazu_layout_of` and outlives the result.
unsafe fn component<'a>(layout: *const tarazu_layout, component: u32) -> Option<&'a Component> {
    // SAFETY: the caller vouches for the pointer.
    unsafe { layout.as_ref() }?.0.main()?.layout.components.get(component as usize)
}

/// Stripes of a component that have a target; 0 where it has none yet.
///
/// # Safety
/// `layout` is null or from `tarazu_layout_of`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_layout_stripes(layout: *const tarazu_layout, component: u32) -> c_int {
    // SAFETY: the caller vouches for the pointer.
    unsafe { self::component(layout, component) }.map_or(TARAZU_EINVAL, |found| found.stripes.len() as c_int)
}

/// Bytes of one stripe unit of a component; 0 where there is no such component.
///
/// # Safety
/// `layout` is null or from `tarazu_layout_of`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_layout_stripe_size(layout: *const tarazu_layout, component: u32) -> u64 {
    // SAFETY: the caller vouches for the pointer.
    unsafe { self::component(layout, component) }.map_or(0, |found| found.stripe_size)
}

/// The index of the target (OST) of a stripe.
///
/// # Safety
/// `layout` is null or from `tarazu_layout_of`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_layout_target(
    layout: *const tarazu_layout,
    component: u32,
    stripe: u32,
) -> c_int {
    // SAFETY: the caller vouches for the pointer.
    let found = unsafe { self::component(layout, component) };
    let ost = found.and_then(|found| found.stripes.get(stripe as usize));
    ost.and_then(|ost| c_int::try_from(ost.0).ok()).unwrap_or(TARAZU_EINVAL)
}

/// Frees a layout; null is nothing to free.
///
/// # Safety
/// `layout` is null or from `tarazu_layout_of`, and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_layout_free(layout: *mut tarazu_layout) {
    if !layout.is_null() {
        // SAFETY: made by `Box::into_raw`, and the caller gives it up.
        guarded((), || drop(unsafe { Box::from_raw(layout) }));
    }
}

/// Says in words what was asked, decided and got for a file, and why: at most `size` bytes into `buffer`, the zero at
/// the end included. Returns the bytes that the whole text has without its zero.
///
/// # Safety
/// `session` is null or from `tarazu_session_open`; `path` is null or ends in a zero; `buffer` is null or has room for
/// `size` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tarazu_explain(
    session: *const tarazu_session,
    path: *const c_char,
    buffer: *mut c_char,
    size: usize,
) -> c_int {
    guarded(TARAZU_EINTERNAL, || {
        // SAFETY: the caller vouches for both pointers.
        let (session, name) = unsafe { (session.as_ref(), text(path)) };
        let (Some(session), Some(name)) = (session, name) else { return TARAZU_EINVAL };
        let words = match session.0.explain(self::path(name)) {
            Ok(explanation) => explanation.to_string(),
            Err(error) => {
                set_errno(error.raw_os_error().unwrap_or(libc::EIO));
                return TARAZU_ELAYOUT;
            }
        };
        if !buffer.is_null() && size > 0 {
            let shown = words.len().min(size - 1);
            // SAFETY: `shown` and the zero behind it are at most `size` bytes, for which the caller vouches.
            unsafe {
                std::ptr::copy_nonoverlapping(words.as_ptr().cast(), buffer, shown);
                buffer.add(shown).write(0);
            }
        }
        c_int::try_from(words.len()).unwrap_or(c_int::MAX)
    })
}
