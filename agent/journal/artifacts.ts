/**
 * Files that a migration (or server creation) made or moved aside here, by identity.
 *
 * Nothing is deleted on a host that has no row: the row is written before the file is made or renamed (intent,
 * identity unknown) and completed with the identity before anyone relies on it (SAFETY R5, DESIGN invariant 7).
 */

import type { FileIdentity } from "../os/files.js";
import type { Journal } from "./journal.js";

export type ArtifactKind = "created" | "incoming" | "fenced" | "dropped" | "saved";

export interface Artifact {
  readonly serverId: string;
  /** Empty for what belongs to the server itself (made by create). */
  readonly migrationId: string;
  readonly path: string;
  readonly kind: ArtifactKind;
  /** Undefined between intent and completion. */
  readonly identity: FileIdentity | undefined;
}

interface Row {
  server: string;
  migration: string;
  path: string;
  kind: ArtifactKind;
  device: string;
  inode: string;
  birth_ns: string;
}

const artifactOf = (row: Row): Artifact => ({
  serverId: row.server,
  migrationId: row.migration,
  path: row.path,
  kind: row.kind,
  identity: row.inode === "" ? undefined : { device: row.device, inode: row.inode, birthNs: row.birth_ns },
});

export class Artifacts {
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  record(artifact: Artifact): void {
    const { identity } = artifact;
    const statement = this.#journal.database.prepare(`
      INSERT INTO artifact VALUES (?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (server, migration, path) DO UPDATE SET kind = excluded.kind, device = excluded.device,
        inode = excluded.inode, birth_ns = excluded.birth_ns`);
    this.#journal.write(() =>
      statement.run(
        artifact.serverId,
        artifact.migrationId,
        artifact.path,
        artifact.kind,
        identity?.device ?? "",
        identity?.inode ?? "",
        identity?.birthNs ?? "",
      ),
    );
  }

  of(serverId: string, migrationId: string): Artifact[] {
    return this.#journal.database
      .prepare<[string, string], Row>(
        "SELECT * FROM artifact WHERE server = ? AND migration = ? ORDER BY path",
      )
      .all(serverId, migrationId)
      .map(artifactOf);
  }

  /** Hands a migration's files over to the server itself: they are its disks now (confirm, at the target). */
  adopt(serverId: string, migrationId: string): void {
    const statement = this.#journal.database.prepare(
      "UPDATE OR REPLACE artifact SET migration = '', kind = 'created' WHERE server = ? AND migration = ? AND kind = 'incoming'",
    );
    this.#journal.write(() => statement.run(serverId, migrationId));
  }

  forget(serverId: string, migrationId: string, path: string): void {
    const statement = this.#journal.database.prepare(
      "DELETE FROM artifact WHERE server = ? AND migration = ? AND path = ?",
    );
    this.#journal.write(() => statement.run(serverId, migrationId, path));
  }
}
