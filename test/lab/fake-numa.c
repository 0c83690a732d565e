// fake-numa.so: for the lab only. Preloaded into libvirtd, which passes it on to QEMU: binding to a CPU or NUMA node that
// exists in a captured machine only is written to /run/fake-numa.log and reported as done. Real ones are bound as ever.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static void record(const char *what, const unsigned char *mask, size_t bytes) {
  FILE *log = fopen("/run/fake-numa.log", "a");
  if (!log) return;
  fprintf(log, "%s", what);
  for (size_t byte = 0; mask && byte < bytes; byte++)
    for (int bit = 0; bit < 8; bit++)
      if (mask[byte] >> bit & 1) fprintf(log, " %zu", byte * 8 + bit);
  fputc('\n', log);
  fclose(log);
}

static size_t at_most(size_t bytes) { return bytes > 32 ? 32 : bytes; }

int sched_setaffinity(pid_t pid, size_t length, const cpu_set_t *mask) {
  if (syscall(SYS_sched_setaffinity, pid, length, mask) >= 0) return 0;
  if (errno != EINVAL) return -1;
  record("cpus", (const unsigned char *)mask, at_most(length));
  return 0;
}

// QEMU's threads that touch huge pages on their node; glibc's own does not go through the function above.
int pthread_setaffinity_np(pthread_t thread, size_t length, const cpu_set_t *mask) {
  int (*real)(pthread_t, size_t, const cpu_set_t *) = dlsym(RTLD_NEXT, "pthread_setaffinity_np");
  int answer = real(thread, length, mask);
  if (answer != EINVAL) return answer;
  record("cpus", (const unsigned char *)mask, at_most(length));
  return 0;
}

static long done(long answer, const char *what, const unsigned long *nodes, unsigned long bits) {
  if (answer >= 0 || errno != EINVAL) return answer;
  record(what, (const unsigned char *)nodes, at_most((bits + 7) / 8));
  return 0;
}

long mbind(void *start, unsigned long length, int mode, const unsigned long *nodes, unsigned long bits, unsigned flags) {
  return done(syscall(SYS_mbind, start, length, mode, nodes, bits, flags), "memory", nodes, bits);
}

long set_mempolicy(int mode, const unsigned long *nodes, unsigned long bits) {
  return done(syscall(SYS_set_mempolicy, mode, nodes, bits), "policy", nodes, bits);
}

long migrate_pages(int pid, unsigned long bits, const unsigned long *from, const unsigned long *to) {
  return done(syscall(SYS_migrate_pages, pid, bits, from, to), "migrate", to, bits);
}
