/**
 * The hardware that incarnations have for themselves on this host: CPUs, memory of cells, huge pages, devices.
 *
 * A row is written before anything relies on it and stays as long as the incarnation can come back to life here: a
 * fenced source keeps what it had until it is retired. A guest that has nothing for itself has no row.
 */

import { readStored } from "../../proto/stored.js";
import { type HardwareBooking, isEmptyBooking } from "../claim/hardware-booking.js";
import type { Journal } from "./journal.js";

export interface Booking {
  readonly serverId: string;
  readonly incarnation: string;
  /** Empty for a server that was made or adopted here. */
  readonly migrationId: string;
  readonly hardware: HardwareBooking;
}

interface Row {
  server: string;
  incarnation: string;
  migration: string;
  hardware: string;
}

export class Bookings {
  readonly #journal: Journal;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  put({ serverId, incarnation, migrationId, hardware }: Booking): void {
    if (isEmptyBooking(hardware)) {
      this.drop(serverId, incarnation);
      return;
    }
    const statement = this.#journal.database.prepare(`
      INSERT INTO booking VALUES (?, ?, ?, ?)
      ON CONFLICT (server, incarnation) DO UPDATE SET migration = excluded.migration, hardware = excluded.hardware`);
    this.#journal.write(() => statement.run(serverId, incarnation, migrationId, JSON.stringify(hardware)));
  }

  drop(serverId: string, incarnation: string): void {
    const statement = this.#journal.database.prepare(
      "DELETE FROM booking WHERE server = ? AND incarnation = ?",
    );
    this.#journal.write(() => statement.run(serverId, incarnation));
  }

  /** The server is gone from this host, in every incarnation. */
  dropServer(serverId: string): void {
    const statement = this.#journal.database.prepare("DELETE FROM booking WHERE server = ?");
    this.#journal.write(() => statement.run(serverId));
  }

  list(): Booking[] {
    return this.#journal.database
      .prepare<[], Row>("SELECT * FROM booking ORDER BY server, incarnation")
      .all()
      .map(row => ({
        serverId: row.server,
        incarnation: row.incarnation,
        migrationId: row.migration,
        hardware: readStored(
          `the agent's journal: what ${row.server} has booked`,
          () => JSON.parse(row.hardware) as HardwareBooking,
        ),
      }));
  }
}
