/** What a verb that changes a disk works on: real files and tools in one directory, and a journal that is a map by kind. */

import { access } from "node:fs/promises";
import type { Files } from "../../../agent/os/files.js";
import { runTool } from "../../../agent/os/tool.js";
import type { GrowEdges } from "../../../agent/verbs/grow-disk.js";

export const diskEdges = (
  files: Files,
  directory: string,
  documents: Map<string, unknown>,
): Pick<GrowEdges, "files" | "runTool" | "places" | "exists" | "documents"> => ({
  files,
  runTool,
  places: { directories: [directory] },
  exists: path =>
    access(path).then(
      () => true,
      () => false,
    ),
  documents: {
    get: <T>(_server: string, _migration: string, kind: string) => documents.get(kind) as T | undefined,
    put: (_server, _migration, kind, body) => documents.set(kind, body),
  },
});
