/**
 * `npm run build`: each program becomes one file, dist/PROGRAM/main.js, and beside it what it loads only when that is
 * needed. With hundreds of modules to find, Node took three times as long to start `ferry`.
 */

import { defineConfig } from "rolldown";

/** They read files that lie beside them (native code, `.proto`, workers), or share the gRPC library with one that does. */
const WITH_FILES = [/^@grpc\//, "grpc-health-check", "better-sqlite3", "fastify", "pino", "ssh2"];

const program = (folder: string, entries: readonly string[], external: (string | RegExp)[]) => ({
  input: Object.fromEntries(
    entries.map(entry => [entry.slice(entry.lastIndexOf("/") + 1), `${folder}/${entry}.ts`]),
  ),
  external,
  platform: "node" as const,
  resolve: { extensionAlias: { ".js": [".ts", ".js"] } },
  // `new URL("./FILE", import.meta.url)` takes that file along.
  experimental: { resolveNewUrlToAsset: true },
  output: { dir: `dist/${folder}`, cleanDir: true, assetFileNames: "[name][extname]" },
});

export default defineConfig([
  program("cli", ["main"], []),
  program("agent", ["main"], WITH_FILES),
  program("controller", ["main"], WITH_FILES),
  program("bench", ["main", "rest/service", "copy/transfer-end"], WITH_FILES),
]);
