/** Whose a server's row in the journal is: a migration changes the row of another one, or of the server at home, never. */

import type { Guest } from "../journal/guests.js";
import type { Call } from "./verb.js";

/** Nobody has the server here, or this very migration has. */
export const isFreeFor = ({ migrationId }: Call, guest: Guest | undefined): boolean =>
  guest === undefined ||
  guest.role === "none" ||
  guest.role === "retired" ||
  guest.migrationId === migrationId;
