/** What of an agent's world the verbs need that make and remove files: a disk, and the artifacts of one migration in memory. */

import type { Artifact } from "../../../agent/journal/artifacts.js";
import type { FileIdentity } from "../../../agent/os/files.js";
import type { Call, World } from "../../../agent/verbs/verb.js";
import type { Stage } from "./stage.js";

export const CALL: Call = {
  key: "m1:step:run",
  serverId: "s1",
  migrationId: "m1",
  epoch: 1,
  signal: new AbortController().signal,
  note: () => {},
  progress: () => {},
};

export function worldOn(
  { files, disk }: Stage,
  paths: readonly string[] = [],
  identity?: FileIdentity,
): World {
  const { serverId, migrationId } = CALL;
  const rows: Artifact[] = paths.map(path => ({ serverId, migrationId, path, kind: "incoming", identity }));
  const withdrawn = { state: "fenced", files: [] };
  const world = {
    files,
    config: { image_dirs: ["/images"] },
    exists: async (path: string) => disk.find(path) !== undefined,
    isFolder: async (path: string) => disk.find(path)?.kind === "directory",
    artifacts: {
      of: () => [...rows],
      record: (row: Artifact) => void rows.push(row),
      forget: (_server: string, _migration: string, path: string) => {
        const index = rows.findIndex(row => row.path === path);
        if (index >= 0) rows.splice(index, 1);
      },
    },
    documents: { get: () => undefined },
    guests: { find: () => undefined },
    fence: { files, journal: { find: async () => withdrawn, put: async () => {} } },
  };
  return world as unknown as World;
}
