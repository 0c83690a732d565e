/*
 * Writes down in which order a process writes to files, flushes them and renames them: preloaded, into the file FLUSH_LOG, a
 * line when a call begins and a line when it has ended.
 *
 *   + THREAD pwrite PATH OFFSET LENGTH FIRST-BYTES      - THREAD pwrite …
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define SHOWN_BYTES 13

static void note(const char *form, ...) {
  static int log = -1;
  char line[8192];
  va_list words;
  if (log < 0) log = open(getenv("FLUSH_LOG"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  va_start(words, form);
  int length = vsnprintf(line, sizeof line, form, words);
  va_end(words);
  syscall(SYS_write, log, line, (size_t)length);
}

static const char *path_of(int file, char *path, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, size - 1);
  path[length < 0 ? 0 : length] = 0;
  return path;
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t offset) {
  char path[4096], shown[2 * SHOWN_BYTES + 1] = "";
  for (size_t at = 0; at < count && at < SHOWN_BYTES; at++)
    sprintf(shown + 2 * at, "%02x", ((const unsigned char *)bytes)[at]);
  path_of(file, path, sizeof path);
  note("+ %d pwrite %s %ld %zu %s\n", gettid(), path, (long)offset, count, shown);
  ssize_t written = NEXT(pwrite)(file, bytes, count, offset);
  note("- %d pwrite %s %ld %zu %s\n", gettid(), path, (long)offset, count, shown);
  return written;
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) { return pwrite(file, bytes, count, offset); }

#define FLUSH(name)                                   \
  int name(int file) {                                \
    char path[4096];                                  \
    path_of(file, path, sizeof path);                 \
    note("+ %d " #name " %s\n", gettid(), path);      \
    int failed = NEXT(name)(file);                    \
    note("- %d " #name " %s\n", gettid(), path);      \
    return failed;                                    \
  }

FLUSH(fsync)
FLUSH(fdatasync)

int renameat2(int old_folder, const char *old_path, int new_folder, const char *new_path, unsigned flags) {
  note("+ %d renameat2 %s\n", gettid(), new_path);
  int failed = NEXT(renameat2)(old_folder, old_path, new_folder, new_path, flags);
  note("- %d renameat2 %s\n", gettid(), new_path);
  return failed;
}
