/**
 * Lines of the product that keep a promise, each with what is left when it is taken out. `npm run sim -- --guards` takes out
 * one after the other while the product is loaded, changing no file, and runs until the simulation notices. Where a guard is needed
 * only if something rare happens, `strikes` says what (`--every-step --only`); the others are looked for everywhere.
 */

/** @typedef {{ readonly name: string, readonly file: string, readonly from: string, readonly to: string, readonly strikes?: string }} Guard */

/** @type {readonly Guard[]} */
export const GUARDS = [
  {
    name: "the epoch check",
    file: "agent/operations.ts",
    from: "if (epoch < highest) throw",
    to: "if (epoch < 0) throw",
    strikes: "migrate, delete, come-late",
  },
  {
    name: "the fence itself: files set aside and undefined before the receipt",
    file: "agent/fence/fence.ts",
    from: "[turnAutostartOff, setFilesAside, undefineDomain, readAgain]",
    to: "[turnAutostartOff]",
    strikes: "migrate, confirm, source, kill",
  },
  {
    name: "the denial before the guest is proven dead",
    file: "agent/fence/fence.ts",
    from: "[writeDenial, stopWithdrawn]",
    to: "[stopWithdrawn]",
    strikes: "migrate, confirm, source, kill",
  },
  {
    name: "the read-back",
    file: "agent/transfer/part-file.ts",
    from: 'mode === "none" ? ("none" as const)',
    to: 'mode !== undefined ? ("none" as const)',
    strikes: "migrate, confirm, flip-bit",
  },
  {
    name: "fsync of a guest file",
    file: "agent/fence/durable-file.ts",
    from: "await file.sync();",
    to: "",
    strikes: "migrate, confirm, target, power-cut",
  },
  {
    name: "fsync of a guest file's folder",
    file: "agent/fence/durable-file.ts",
    from: "await flushDirectory(directory);",
    to: "",
    strikes: "migrate, confirm, target, power-cut",
  },
  {
    name: "fsync of the folder above one that is made",
    file: "agent/verbs/incoming-artifacts.ts",
    from: "await flushDirectory(dirname(path));\n  recordIncoming",
    to: "recordIncoming",
    strikes: "migrate, confirm, target, power-cut",
  },
  {
    name: "fsync of the folder whose file was removed",
    file: "agent/disk/file-identity.ts",
    from: "await flushIfThere(directoryPath);",
    to: "",
    strikes: "resize, delete, target, power-cut",
  },
  {
    name: "synchronous = FULL of the agent's journal",
    file: "agent/journal/journal.ts",
    from: "synchronous = FULL",
    to: "synchronous = NORMAL",
    strikes: "migrate, revert, target, power-cut",
  },
  {
    name: "synchronous = FULL of the controller's store",
    file: "controller/store/sqlite.ts",
    from: "synchronous = FULL",
    to: "synchronous = NORMAL",
    strikes: "migrate, confirm, controller, power-cut",
  },
  {
    name: "the guard that a target which may have run is not withdrawn by itself",
    file: "agent/verbs/withdraw-target.ts",
    from: "if (!hasRun) return;",
    to: "if (hasRun || !hasRun) return;",
    strikes: "migrate, confirm, target, resume",
  },
  {
    name: "the word of a target that was let go before another one was booked",
    file: "controller/migration/steps/prepare-target.ts",
    from: '!== "unwound") throw error;',
    to: '!== "") throw error;',
    strikes: "migrate, others-fill-up, kill",
  },
  {
    name: "that a target is passed over is recorded before it is let go",
    file: "controller/migration/steps/prepare-target.ts",
    from: "if (!(await isPassedOver(targetHost, world))) {",
    to: "{",
    strikes: "migrate, reached-after-all, kill",
  },
];

/**
 * The source without the guard of this name.
 * @param {string} name
 * @param {string} file
 * @param {string} source
 */
export function without(name, file, source) {
  const guard = GUARDS.find(candidate => candidate.name === name);
  if (guard === undefined) throw new Error(`there is no guard ${name}`);
  if (guard.file !== file) return source;
  if (!source.includes(guard.from)) throw new Error(`${file} has no such line any more: ${guard.from}`);
  return source.replace(guard.from, () => guard.to);
}
