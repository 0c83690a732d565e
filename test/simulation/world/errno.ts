/** Errors as Node gives them for a failed system call. */

import { constants } from "node:os";

const WORDS: Record<string, string> = {
  ENOENT: "no such file or directory",
  EEXIST: "file already exists",
  ENOTDIR: "not a directory",
  EISDIR: "illegal operation on a directory",
  ENOTEMPTY: "directory not empty",
  ENOSPC: "no space left on device",
  EIO: "i/o error",
  ELOOP: "too many symbolic links encountered",
  EBADF: "bad file descriptor",
  EWOULDBLOCK: "resource temporarily unavailable",
  EXDEV: "cross-device link not permitted",
  EOPNOTSUPP: "operation not supported",
};

export function errno(code: keyof typeof WORDS & string, syscall = "", path = ""): NodeJS.ErrnoException {
  const where = path === "" ? syscall : `${syscall} '${path}'`;
  const error: NodeJS.ErrnoException = new Error(`${code}: ${WORDS[code] ?? code}, ${where}`);
  error.code = code;
  error.errno = -(constants.errno[code as keyof typeof constants.errno] ?? 0);
  error.syscall = syscall;
  if (path !== "") error.path = path;
  return error;
}
