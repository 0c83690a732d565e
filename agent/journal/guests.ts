/**
 * What this agent knows of each server: its role here, its present incarnation and the highest epoch ever seen.
 *
 * The epoch only rises, and within an epoch the term. `mayHaveRun` is set before the CPUs of a target run and never cleared for that incarnation
 * (SAFETY R3).
 */

import type { Disk } from "../../proto/gen/ferry/v1/model.js";
import { readStored } from "../../proto/stored.js";
import type { Journal } from "./journal.js";

export type Role = "active" | "fenced" | "incoming" | "retired" | "none";

export interface Guest {
  readonly serverId: string;
  readonly name: string;
  readonly role: Role;
  /** `<server>/<migration or "home">/<source|target>/<epoch>`; empty while nothing is defined here. */
  readonly incarnation: string;
  readonly migrationId: string;
  readonly epoch: number;
  /** Of the controller that speaks for this epoch: raised whenever another one takes over. */
  readonly term: number;
  readonly mayHaveRun: boolean;
  /** The disks with the roles that Ferry made or the operator named (SAFETY R8). */
  readonly disks: readonly Disk[];
}

interface Row {
  server: string;
  name: string;
  role: Role;
  incarnation: string;
  migration: string;
  epoch: number;
  term: number;
  may_have_run: number;
  disks: string;
}

export const guestOf = (row: Row): Guest => ({
  serverId: row.server,
  name: row.name,
  role: row.role,
  incarnation: row.incarnation,
  migrationId: row.migration,
  epoch: row.epoch,
  term: row.term,
  mayHaveRun: row.may_have_run === 1,
  disks: readStored(`the agent's journal: the disks of ${row.server}`, () => JSON.parse(row.disks) as Disk[]),
});

export class Guests {
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  find(serverId: string): Guest | undefined {
    const row = this.#journal.database
      .prepare<[string], Row>("SELECT * FROM guest WHERE server = ?")
      .get(serverId);
    return row && guestOf(row);
  }

  list(): Guest[] {
    return this.#journal.database.prepare<[], Row>("SELECT * FROM guest ORDER BY server").all().map(guestOf);
  }

  /** Writes the row; neither epoch nor term ever go down, whatever is passed. */
  save(guest: Guest): void {
    const statement = this.#journal.database.prepare(`
      INSERT INTO guest (server, name, role, incarnation, migration, epoch, term, may_have_run, disks)
      VALUES (@serverId, @name, @role, @incarnation, @migrationId, @epoch, @term, @ran, @disks)
      ON CONFLICT (server) DO UPDATE SET name = excluded.name, role = excluded.role,
        incarnation = excluded.incarnation, migration = excluded.migration,
        term = CASE WHEN excluded.epoch > guest.epoch THEN excluded.term ELSE max(guest.term, excluded.term) END,
        epoch = max(guest.epoch, excluded.epoch), may_have_run = excluded.may_have_run, disks = excluded.disks`);
    const { disks, mayHaveRun, ...rest } = guest;
    this.#journal.write(() =>
      statement.run({ ...rest, ran: mayHaveRun ? 1 : 0, disks: JSON.stringify(disks) }),
    );
  }

  /** Changes some fields of a known or new guest and answers the whole. */
  update(serverId: string, change: Partial<Omit<Guest, "serverId">>): Guest {
    const guest = { ...(this.find(serverId) ?? unknownGuest(serverId)), ...change };
    this.save(guest);
    return guest;
  }
}

const unknownGuest = (serverId: string): Guest => ({
  serverId,
  name: "",
  role: "none",
  incarnation: "",
  migrationId: "",
  epoch: 0,
  term: 0,
  mayHaveRun: false,
  disks: [],
});
