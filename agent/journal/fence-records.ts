/** Fence records in the agent's journal: one document per migration and incarnation. */

import type { FenceJournal, FenceKey, FenceRecord } from "../fence/fence-record.js";
import type { Documents } from "./documents.js";

const PREFIX = "fence ";
const kindOf = (incarnation: string): string => `${PREFIX}${incarnation}`;

export class FenceRecords implements FenceJournal {
  readonly #documents: Documents;

  constructor(documents: Documents) {
    this.#documents = documents;
  }

  async find({ server, migration, incarnation }: FenceKey): Promise<FenceRecord | undefined> {
    return this.#documents.get<FenceRecord>(server, migration, kindOf(incarnation));
  }

  async put(record: FenceRecord): Promise<void> {
    this.#documents.put(record.server, record.migration, kindOf(record.incarnation), record);
  }

  list(): FenceRecord[] {
    return this.#documents.list<FenceRecord>(`${PREFIX}%`).map(({ body }) => body);
  }
}
