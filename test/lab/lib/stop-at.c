/*
 * Stops a process in the very moment in which it has written a certain line: preloaded into a lab host's Ferry daemon.
 *
 * /run/ferry-lab/stop-at holds a piece of that line. When a write contains it, the file is renamed to `stopped-at`, so that
 * it counts once, and the process stops (SIGSTOP) before it can do anything else. What is logged is durable, so this is the
 * boundary between two steps; somebody outside then kills what is to be killed, and continues the process.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WANTED "/run/ferry-lab/stop-at"
#define REACHED "/run/ferry-lab/stopped-at"
#define LONGEST 512

static size_t wanted_piece(char *piece) {
  int file = open(WANTED, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, piece, LONGEST);
  close(file);
  while (length > 0 && piece[length - 1] == '\n') length--;
  return length > 0 ? (size_t)length : 0;
}

ssize_t write(int file, const void *bytes, size_t count) {
  static ssize_t (*next)(int, const void *, size_t);
  if (!next) next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
  ssize_t written = next(file, bytes, count);
  char piece[LONGEST];
  size_t length = file == STDOUT_FILENO && written > 0 ? wanted_piece(piece) : 0;
  if (length > 0 && memmem(bytes, (size_t)written, piece, length) && rename(WANTED, REACHED) == 0) raise(SIGSTOP);
  return written;
}
