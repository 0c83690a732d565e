/**
 * The hook's mark that an incarnation was started behind the agent's back becomes the journal's own word, and is cleared once
 * that is durable (SAFETY R3). A mark of another incarnation than the server's present one is left alone.
 */

import { clearRanMark, readRanMark } from "../fence/ran-mark.js";
import type { Call, World } from "./verb.js";

export async function journalRanMark({ serverId }: Call, { config, guests }: World): Promise<void> {
  const mark = await readRanMark(config.state_dir, serverId);
  if (mark === undefined || guests.find(serverId)?.incarnation !== mark.incarnation) return;
  guests.update(serverId, { mayHaveRun: true });
  await clearRanMark(config.state_dir, serverId);
}
