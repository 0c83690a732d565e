/*
 * Stops or ends a process in the very moment of a certain line of its log: preloaded into a lab host's Ferry daemon.
 *
 * /run/ferry-lab/stop-at holds a piece of that line. When a write contains it, the file is renamed to `stopped-at`, so that
 * it counts once, and the process stops (SIGSTOP) before it can do anything else. What is logged is durable, so this is the
 * boundary between two steps; somebody outside then kills what is to be killed, and continues the process.
 *
 * With /run/ferry-lab/end-at (then `ended-at`) the process is killed before the line is written: what it tells of is durable, and
 * has never been said.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LONGEST 512

static size_t wanted_piece(const char *wanted, char *piece) {
  int file = open(wanted, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, piece, LONGEST);
  close(file);
  while (length > 0 && piece[length - 1] == '\n') length--;
  return length > 0 ? (size_t)length : 0;
}

static int reaches(const char *wanted, const char *reached, const void *bytes, size_t count) {
  char piece[LONGEST];
  size_t length = wanted_piece(wanted, piece);
  return length > 0 && memmem(bytes, count, piece, length) && rename(wanted, reached) == 0;
}

ssize_t write(int file, const void *bytes, size_t count) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  if (file != STDOUT_FILENO) return next(file, bytes, count);
  if (reaches("/run/ferry-lab/end-at", "/run/ferry-lab/ended-at", bytes, count)) raise(SIGKILL);
  ssize_t written = next(file, bytes, count);
  if (written > 0 && reaches("/run/ferry-lab/stop-at", "/run/ferry-lab/stopped-at", bytes, (size_t)written)) raise(SIGSTOP);
  return written;
}
