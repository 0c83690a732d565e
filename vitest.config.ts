import { defineConfig } from "vitest/config";
import { LongestFirst } from "./test/longest-first.js";
import { simulatedEdges } from "./test/simulation/edges/vite-plugin.mjs";

/**
 * Tests by kind of evidence. `fast` needs nothing but Node and runs in `npm run check`, and so does `simulation`, which
 * replaces the edges below the daemons; `postgres` repeats the tests of the store on a PostgreSQL that it starts;
 * `native` needs libvirt and QEMU on this machine; `lab` needs root and makes hosts out of namespaces: each file its
 * own, a few files at a time.
 */
const projectOf = (
  name: string,
  include: string[],
  timeoutMs: number,
  how: { isolate?: false; fileParallelism?: false } = {},
) => ({
  test: {
    name,
    include,
    pool: "forks" as const,
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    ...how,
  },
});

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      projectOf(
        "fast",
        ["test/{unit,proofs,transcripts,types,tidy}/**/*.test.ts", "test/fuzz/readers.test.ts"],
        20_000,
        // Modules have no state, so a process reads them once for all of its files: a third of the time.
        { isolate: false },
      ),
      {
        test: {
          ...projectOf(
            "postgres",
            ["test/unit/{store,placement,fleet}/**/*.test.ts", "test/postgres/**/*.test.ts"],
            60_000,
          ).test,
          globalSetup: "test/postgres/cluster.ts",
        },
      },
      {
        ...projectOf("simulation", ["test/simulation/**/*.test.ts", "test/fuzz/services.test.ts"], 60_000),
        plugins: [simulatedEdges()],
      },
      projectOf("native", ["test/{native,contract}/**/*.test.ts"], 60_000),
      projectOf("load", ["test/load/**/*.test.ts"], 300_000, { fileParallelism: false }),
      projectOf("lab", ["test/lab/**/*.test.ts"], 600_000),
    ],
  },
});
