// tarazu: places new files of a parallel file system where they will be finished first.
//
//   tarazu_session *session = tarazu_session_open(NULL);
//   int fd = tarazu_create(session, path, O_CREAT | O_WRONLY, 0644);   // as open()
//   ...
//   tarazu_closed(session, fd, written);
//   close(fd);
//   tarazu_session_close(session);

#ifndef TARAZU_H
#define TARAZU_H

// Made from client/src/abi.rs by cbindgen; the test client/tests/header.rs says how.

#include <stddef.h>
#include <stdint.h>

// A pointer that must not be null is, or a number lies outside its range.
#define TARAZU_EINVAL -1

// A slip inside the library; nothing was done.
#define TARAZU_EINTERNAL -2

// The mode does not allow it, or there is no daemon to tell.
#define TARAZU_ENOTTOLD -3

// The file is not there, or its layout cannot be read; `errno` says why.
#define TARAZU_ELAYOUT -4

// The layout of a file.
typedef struct tarazu_layout tarazu_layout;

// Options of a session.
typedef struct tarazu_options tarazu_options;

// A process's use of tarazu.
typedef struct tarazu_session tarazu_session;

// What a job expects of the files that it is about to write.
typedef struct tarazu_expect {
  // A file name whose ending says which files; null for all of this program.
  const char *like;
  // Bytes that one file will hold.
  uint64_t expected_bytes;
  // Most of them that one process makes in a burst.
  uint32_t files_per_process;
  // All of them in a burst; 0 where every process makes its own.
  uint32_t files_per_burst;
  // Bytes of one stripe unit; 0 takes what the folder says.
  uint64_t stripe_size;
  // Stripes of a file; 0 takes what the folder says.
  uint16_t stripe_count;
  // How sure that is, percent, 0 to 100.
  uint8_t confidence_percent;
} tarazu_expect;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Makes options: the defaults with the environment's settings (`TARAZU_…`) over them. Null only where memory is out.
//
// Free them with `tarazu_options_free`.
struct tarazu_options *tarazu_options_new(void);

// Sets an option by the name of its environment variable, such as `TARAZU_MODE` to `apply`. A value that means nothing
// gives `TARAZU_EINVAL` and changes nothing.
//
// # Safety
// `options` is null or from `tarazu_options_new`; the strings are null or end in a zero.
int tarazu_options_set(struct tarazu_options *options,
                       const char *name,
                       const char *value);

// Sets rank and world, where they are not to be taken from the launcher's environment.
//
// # Safety
// `options` is null or from `tarazu_options_new`.
int tarazu_options_set_rank(struct tarazu_options *options, uint32_t rank, uint32_t world);

// Sets the job, where it is not to be taken from the scheduler's environment.
//
// # Safety
// `options` is null or from `tarazu_options_new`.
int tarazu_options_set_job(struct tarazu_options *options, uint64_t job);

// Frees options; null is nothing to free.
//
// # Safety
// `options` is null or from `tarazu_options_new`, and not used again.
void tarazu_options_free(struct tarazu_options *options);

// Begins a session and takes the options; null options are those of the environment. Null only where memory is out:
// without a daemon, a table or anything else every create is a plain `open`.
//
// # Safety
// `options` is null or from `tarazu_options_new`, and not used again.
struct tarazu_session *tarazu_session_open(struct tarazu_options *options);

// Ends a session; null is nothing to end. Files stay open.
//
// # Safety
// `session` is null or from `tarazu_session_open`, and not used again by any thread.
void tarazu_session_close(struct tarazu_session *session);

// Says at the start of a job what its files in a folder will be.
//
// # Safety
// `session` is null or from `tarazu_session_open`; the strings are null or end in a zero; `expect` is null or valid.
int tarazu_advise(const struct tarazu_session *session,
                  const char *folder,
                  const struct tarazu_expect *expect);

// Opens a file as `open(path, flags, mode)` does: a descriptor, or -1 and `errno`. Where that makes a new file it
// lies on targets of tarazu's choice. A null session makes it a plain `open`. After a slip inside the library it is
// the plain `open`, but for `EIO` where `O_EXCL` was asked for and the file was made before the slip. Unlike `open` it may not be called in a
// signal handler, since it takes memory.
//
// # Safety
// `session` is null or from `tarazu_session_open`; `path` is null or ends in a zero.
int tarazu_create(const struct tarazu_session *session,
                  const char *path,
                  int flags,
                  uint32_t mode);

// Says that a file from `tarazu_create` is about to be closed, and how many bytes were written to it. The descriptor
// stays open.
//
// # Safety
// `session` is null or from `tarazu_session_open`; `fd` is an open descriptor.
int tarazu_closed(const struct tarazu_session *session,
                  int fd,
                  uint64_t written_bytes);

// Reads the layout of a file into `*layout`; free it with `tarazu_layout_free`.
//
// # Safety
// `session` is null or from `tarazu_session_open`; `path` is null or ends in a zero; `layout` is null or may be
// written to.
int tarazu_layout_of(const struct tarazu_session *session,
                     const char *path,
                     struct tarazu_layout **layout);

// Components of a layout, of its copy that is read first.
//
// # Safety
// `layout` is null or from `tarazu_layout_of`.
int tarazu_layout_components(const struct tarazu_layout *layout);

// Stripes of a component that have a target; 0 where it has none yet.
//
// # Safety
// `layout` is null or from `tarazu_layout_of`.
int tarazu_layout_stripes(const struct tarazu_layout *layout, uint32_t component);

// Bytes of one stripe unit of a component; 0 where there is no such component.
//
// # Safety
// `layout` is null or from `tarazu_layout_of`.
uint64_t tarazu_layout_stripe_size(const struct tarazu_layout *layout, uint32_t component);

// The index of the target (OST) of a stripe.
//
// # Safety
// `layout` is null or from `tarazu_layout_of`.
int tarazu_layout_target(const struct tarazu_layout *layout, uint32_t component, uint32_t stripe);

// Frees a layout; null is nothing to free.
//
// # Safety
// `layout` is null or from `tarazu_layout_of`, and not used again.
void tarazu_layout_free(struct tarazu_layout *layout);

// Says in words what was asked, decided and got for a file, and why: at most `size` bytes into `buffer`, the zero at
// the end included. Returns the bytes that the whole text has without its zero.
//
// # Safety
// `session` is null or from `tarazu_session_open`; `path` is null or ends in a zero; `buffer` is null or has room for
// `size` bytes.
int tarazu_explain(const struct tarazu_session *session,
                   const char *path,
                   char *buffer,
                   size_t size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TARAZU_H */
