/**
 * The agent's word to the hook that a start is its own: RUN_DIR/starting/UUID holds the incarnation.
 *
 * The hook uses a token up; a start without one is recorded as made behind the agent's back (SAFETY R3). The token
 * lives on tmpfs, so that no reboot leaves one, and `clearStartTokens` removes what a killed agent left.
 */

import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Run `start` with the token in place. */
export async function withStartToken<T>(
  runDir: string,
  guest: { readonly server: string; readonly incarnation: string },
  start: () => Promise<T>,
): Promise<T> {
  const directory = join(runDir, "starting");
  const token = join(directory, guest.server);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(token, `${guest.incarnation}\n`, { mode: 0o600 });
  try {
    return await start();
  } finally {
    await rm(token, { force: true });
  }
}

/** When the agent starts: no start of an earlier life is ours any more. */
export const clearStartTokens = (runDir: string): Promise<void> =>
  rm(join(runDir, "starting"), { recursive: true, force: true });
