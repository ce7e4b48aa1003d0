/* Reads Darshan logs through libdarshan-util, the C library under darshan-parser and PyDarshan.
 *
 * usage: util_read time SECONDS LOG...   median wall seconds of one pass over all logs, then what was read
 *        util_read print LOG             prints all records with the library's own printing
 *
 * `time` does what darshan-parser and darshan-dxt-parser do up to printing: open, job, executable, mounts, names, then every
 * record of every module. Fixed-size records go into one buffer, as in darshan-parser. It leaves out what those tools do
 * per record besides: looking up the name and the mount point. `print` does all of it.
 *
 * The declarations are those of darshan-logutils.h 3.4 and 3.5, and of PyDarshan's cffi definitions; Python's wheel brings
 * the library without its headers. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct job { int64_t uid, start_sec, start_nsec, end_sec, end_nsec, nprocs, jobid; char metadata[1024]; };
struct mount_info { char type[3015], path[3015]; };
struct module_info { char *name; int len, version, index, partial; };
struct name_record { uint64_t id; char *name; };
struct base_record { uint64_t id; int64_t rank; };
struct dxt_record { struct base_record base; int64_t shared; char hostname[64]; int64_t writes, reads; };
struct module_functions {
  int (*get_record)(void *log, void **record);
  int (*put_record)(void *log, void *record);
  void (*print_record)(void *record, char *file, char *mount, char *file_system);
};

void *darshan_log_open(const char *);
int darshan_log_get_job(void *, struct job *);
int darshan_log_get_exe(void *, char *);
int darshan_log_get_mounts(void *, struct mount_info **, int *);
void darshan_log_get_modules(void *, struct module_info **, int *);
void darshan_log_get_name_records(void *, struct name_record **, int *);
void darshan_log_close(void *);
void darshan_free(void *);
void dxt_log_print_posix_file(void *, char *, char *, char *, void *);
void dxt_log_print_mpiio_file(void *, char *, char *, char *);
extern struct module_functions *mod_logutils[];

enum { LUSTRE = 8, DXT_POSIX = 10, DXT_MPIIO = 11, HEATMAP = 15, MODULES = 18, EXE_BYTES = 4096, PASSES_MAX = 100000 };
/* darshan-parser's DEF_MOD_BUF_SIZE. */
enum { RECORD_BYTES_MAX = 1 << 20 };

struct counts { int64_t records[MODULES], segments[MODULES], names; };

static int by_id(const void *a, const void *b) {
  uint64_t left = ((const struct name_record *)a)->id, right = ((const struct name_record *)b)->id;
  return (left > right) - (left < right);
}

static void print_one(int module, void *record, struct name_record *names, int name_count,
                      struct mount_info *mounts, int mount_count) {
  struct name_record key = {((struct base_record *)record)->id, NULL};
  struct name_record *found = bsearch(&key, names, (size_t)name_count, sizeof *names, by_id);
  char *file = found ? found->name : "UNKNOWN", *mount = "UNKNOWN", *file_system = "UNKNOWN";
  for (int i = 0; i < mount_count; i++) {
    if (strncmp(file, mounts[i].path, strlen(mounts[i].path)) == 0) {
      mount = mounts[i].path;
      file_system = mounts[i].type;
      break;
    }
  }
  /* darshan-dxt-parser hands over the file's Lustre record, too, to name a target beside each segment. */
  if (module == DXT_POSIX) dxt_log_print_posix_file(record, file, mount, file_system, NULL);
  else if (module == DXT_MPIIO) dxt_log_print_mpiio_file(record, file, mount, file_system);
  else mod_logutils[module]->print_record(record, file, mount, file_system);
}

static int read_log(const char *path, char *buffer, struct counts *counts, int print) {
  struct job job;
  char exe[EXE_BYTES + 1];
  struct mount_info *mounts = NULL;
  struct module_info *modules = NULL;
  struct name_record *names = NULL;
  int mount_count = 0, module_count = 0, name_count = 0, failed = 0;
  void *log = darshan_log_open(path);
  if (!log) return 1;
  if (darshan_log_get_job(log, &job) < 0 || darshan_log_get_exe(log, exe) < 0 ||
      darshan_log_get_mounts(log, &mounts, &mount_count) < 0) {
    darshan_log_close(log);
    return 1;
  }
  darshan_log_get_name_records(log, &names, &name_count);
  if (print && names) qsort(names, (size_t)name_count, sizeof *names, by_id);
  counts->names += name_count;
  darshan_log_get_modules(log, &modules, &module_count);
  for (int i = 0; i < module_count; i++) {
    int index = modules[i].index;
    if (index < 0 || index >= MODULES || !mod_logutils[index]) continue;
    int dxt = index == DXT_POSIX || index == DXT_MPIIO, sized_by_log = dxt || index == LUSTRE || index == HEATMAP;
    for (;;) {
      void *record = sized_by_log ? NULL : buffer;
      int got = mod_logutils[index]->get_record(log, &record);
      failed |= got < 0;
      if (got < 1) break;
      counts->records[index]++;
      if (dxt) counts->segments[index] += ((struct dxt_record *)record)->writes + ((struct dxt_record *)record)->reads;
      if (print) print_one(index, record, names, name_count, mounts, mount_count);
      if (sized_by_log) darshan_free(record);
    }
  }
  for (int i = 0; i < name_count; i++) darshan_free(names[i].name);
  darshan_free(names);
  darshan_free(modules);
  darshan_free(mounts);
  darshan_log_close(log);
  return failed;
}

static double now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int rising(const void *a, const void *b) {
  double left = *(const double *)a, right = *(const double *)b;
  return (left > right) - (left < right);
}

int main(int argc, char **argv) {
  int print = argc == 3 && strcmp(argv[1], "print") == 0, timed = argc > 3 && strcmp(argv[1], "time") == 0;
  char *buffer = malloc(RECORD_BYTES_MAX);
  static double passes[PASSES_MAX];
  struct counts counts;
  int failed = 0, count = 0;
  if (!buffer || (!print && !timed)) return 2;
  if (print) return read_log(argv[2], buffer, &(struct counts){0}, 1);
  double budget_s = atof(argv[2]), spent_s = 0;
  /* The first pass is not counted: it fetches the file and the allocator's pages. */
  for (int pass = 0; pass < 4 || (spent_s < budget_s && count < PASSES_MAX); pass++) {
    memset(&counts, 0, sizeof counts);
    failed = 0;
    double start = now_s();
    for (int i = 3; i < argc; i++) failed += read_log(argv[i], buffer, &counts, 0);
    double took = now_s() - start;
    if (pass > 0) {
      passes[count++] = took;
      spent_s += took;
    }
  }
  qsort(passes, (size_t)count, sizeof *passes, rising);
  printf("{\"seconds\":%.9f,\"passes\":%d,\"failed\":%d,\"names\":%" PRId64 ",\"posix\":%" PRId64 ",\"mpiio\":%" PRId64
         ",\"stdio\":%" PRId64 ",\"lustre\":%" PRId64 ",\"dxt_posix\":%" PRId64 ",\"dxt_mpiio\":%" PRId64 ",\"segments\":%" PRId64 "}\n",
         passes[count / 2], count, failed, counts.names, counts.records[1], counts.records[2], counts.records[9],
         counts.records[LUSTRE], counts.records[DXT_POSIX], counts.records[DXT_MPIIO],
         counts.segments[DXT_POSIX] + counts.segments[DXT_MPIIO]);
  return 0;
}
