/**
 * The end of the demo, out of what the controller recorded: `ferry migration show -o json` of each migration, as an
 * array in the file that is the first argument. Nothing is known here beforehand; a copied file without a digest that
 * was read back ends it with status 1.
 */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

interface CopiedFile {
  readonly id: string;
  readonly mode: string;
  readonly dataBytes: number;
  readonly algorithm: string;
  readonly digest: string;
  readonly readBack: string;
}

interface Migration {
  readonly sourceHost: string;
  readonly targetHost: string;
  readonly status: string;
  readonly downtimeMs: number;
  readonly oldFlavor: { readonly name: string };
  readonly newFlavor: { readonly name: string };
  readonly receipt: readonly CopiedFile[];
}

const [, , file = ""] = process.argv;
const migrations: readonly Migration[] = JSON.parse(readFileSync(file, "utf8"));
assert(migrations.length > 0, "no migration was recorded");
for (const migration of migrations) process.stdout.write(`   ${describe(migration)}\n`);
const verified = migrations.flatMap(copiedFiles);
const modes = [...new Set(verified.map(({ readBack }) => readBack))].join(", ");
process.stdout.write(
  `   Each of the ${verified.length} copied files was hashed while it was read at the source and again when it was read back at\n` +
    `   the target (${modes}): equal. Swap was made anew with its label and UUID.\n\n` +
    `demo: ok: ${mebibytes(verified)} MiB moved, guest down for ${migrations.map(seconds).join(" and ")} s, ` +
    `all ${verified.length} digests matched\n`,
);

function describe(migration: Migration): string {
  const { sourceHost, targetHost, status, oldFlavor, newFlavor } = migration;
  const resized = oldFlavor.name === newFlavor.name ? "" : ` as ${newFlavor.name}`;
  const copied = copiedFiles(migration);
  const others = migration.receipt
    .filter(({ mode }) => mode !== "copied")
    .map(({ id, mode }) => `${id} ${mode}`);
  return (
    `${sourceHost} → ${targetHost}${resized}, ${status}: ${mebibytes(copied)} MiB in ${copied.length} files copied` +
    `${others.length > 0 ? ` (${others.join(", ")})` : ""}, guest down for ${seconds(migration)} s`
  );
}

/** A receipt is only given for digests that matched, so one without a digest or a read-back proves nothing. */
function copiedFiles({ receipt }: Migration): readonly CopiedFile[] {
  const copied = receipt.filter(({ mode }) => mode === "copied");
  assert(copied.length > 0, "a migration without a copied file");
  for (const { id, algorithm, digest, readBack } of copied)
    assert(algorithm !== "" && digest !== "" && readBack !== "", `${id} was copied, but not verified`);
  return copied;
}

function mebibytes(files: readonly CopiedFile[]): string {
  return (files.reduce((sum, { dataBytes }) => sum + dataBytes, 0) / 1_048_576).toFixed(1);
}

function seconds({ downtimeMs }: Migration): string {
  assert(downtimeMs > 0, "a downtime was not recorded");
  return (downtimeMs / 1000).toFixed(1);
}
