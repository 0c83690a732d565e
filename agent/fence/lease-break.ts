/**
 * The kernel's notice that somebody asks for a file on which this process holds a lease.
 *
 * It comes as SIGIO, whose default action ends the process: a lease must never be taken without a listener here.
 * The signal does not say which file, so every listener is told, and each gives up its hold. The asker waits in
 * its open() until then, at most /proc/sys/fs/lease-break-time seconds.
 */

/** Returns the way to stop listening. */
export function onLeaseBreak(listener: () => void): () => void {
  process.on("SIGIO", listener);
  return () => process.off("SIGIO", listener);
}
