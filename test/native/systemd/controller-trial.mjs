// Stands in for the controller inside its unit; see agent-trial.mjs.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";

const state = process.env.STATE_DIRECTORY;

const openStore = () => {
  const Database = createRequire("/usr/lib/ferry/package.json")("better-sqlite3");
  const store = new Database(`${state}/trial.db`);
  store.pragma("journal_mode = WAL");
  store.exec("create table trial (x text) strict");
  store.close();
};

const trials = {
  "keep its store": openStore,
  listen: () =>
    new Promise((resolve, reject) => createServer().on("error", reject).listen(0, "127.0.0.1", resolve)),
  "be no root": () => {
    if (process.getuid() === 0) throw new Error("is root");
  },
  "write to the agent's state": () => writeFileSync("/var/lib/ferry/trial", ""),
  "read the agent's state": () => readFileSync("/var/lib/ferry/secret"),
  "see another process": () => readFileSync("/proc/1/cmdline"),
  "write to /etc": () => writeFileSync("/etc/trial", ""),
};

const results = {};
for (const [name, attempt] of Object.entries(trials)) {
  try {
    await attempt();
    results[name] = "ok";
  } catch (error) {
    results[name] = error.code ?? error.message;
  }
}
writeFileSync(`${state}/trial.json`, JSON.stringify(results));
process.exit(0);
