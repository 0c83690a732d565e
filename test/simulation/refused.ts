/**
 * The first target of the next migration is passed over, and before another one is booked something else happens:
 *
 *   others-fill-up     somebody's file lies where its disk would, and by then all others are full
 *   cancelled          the same, and a person cancels the migration in the moment in which that target was let go
 *   reached-after-all  its source cannot reach it; then it can, and nobody is told that it was let go
 */

import { PerformRequest, type PrepareTarget } from "../../proto/gen/ferry/v1/agent.js";
import type { Fleet } from "./fleet.js";
import type { Machine } from "./world/machine.js";
import type { Intercepted } from "./world/network.js";

export type Meanwhile = "others-fill-up" | "cancelled" | "reached-after-all";

const SOMEBODYS = Buffer.from("no disk of Ferry's");
const ANSWER_LOST_MS = 200;

export class Refused {
  readonly #fleet: Fleet;
  readonly #meanwhile: Meanwhile;
  readonly #otherwise: Fleet["world"]["network"]["intercept"];
  #refusing: Machine | undefined;
  #pathInTheWay = "";
  /** From the refusing one. */
  #cutOff: Machine | undefined;
  /** What is on its way to the one that refuses, while the others fill up. */
  #held: Intercepted[] | undefined;
  #isLetGo = false;
  /** Servers by which the others are full. */
  readonly #filling: string[] = [];

  constructor(fleet: Fleet, meanwhile: Meanwhile) {
    this.#fleet = fleet;
    this.#meanwhile = meanwhile;
    this.#otherwise = fleet.world.network.intercept;
    fleet.world.network.intercept = request => this.#interfere(request);
  }

  /** The file is gone, the way open, nothing waits any more, and nobody refuses. */
  heal(): void {
    this.#fleet.world.network.intercept = this.#otherwise;
    this.#letOn();
    this.#reach();
    const { disk } = this.#refusing ?? {};
    if (disk?.find(this.#pathInTheWay)?.data.equals(SOMEBODYS) === true)
      disk.remove(this.#pathInTheWay, "unlink");
  }

  /** The others have room again. */
  makeRoom(): void {
    const { operator } = this.#fleet;
    for (const server of this.#filling.splice(0))
      operator.begin("make room", () => operator.repeat("delete", 3, () => operator.delete(server)));
  }

  #interfere(request: Intercepted): boolean {
    if (!request.path.endsWith("/Perform")) return this.#otherwise(request);
    const { verb, migrationId } = PerformRequest.decode(request.body);
    if (verb?.$case === "prepareTarget" && this.#refusing === undefined) this.#refuse(request.to, verb.value);
    if (request.to !== this.#refusing) return this.#otherwise(request);
    if (this.#held !== undefined) {
      this.#held.push(request);
      return true;
    }
    if (verb?.$case !== "closeMigration" || this.#meanwhile === "others-fill-up" || this.#isLetGo)
      return this.#otherwise(request);
    this.#isLetGo = true;
    this.#letGoUnseen(request, migrationId);
    return true;
  }

  #refuse(host: Machine, { manifest, sourceHost }: PrepareTarget): void {
    this.#refusing = host;
    if (this.#meanwhile === "reached-after-all") {
      this.#cutOff = this.#fleet.host(sourceHost);
      this.#fleet.world.network.cut(this.#cutOff, host);
      return;
    }
    const path = manifest?.files[0]?.path ?? "";
    host.say(`somebody's file is ${path}`);
    host.writeFile(path, SOMEBODYS);
    this.#pathInTheWay = path;
    if (this.#meanwhile === "others-fill-up") this.#fillOthers(host);
  }

  /** Other servers come there; what waited for that goes on. */
  #fillOthers(refusing: Machine): void {
    this.#held = [];
    const others = this.#fleet.hosts.filter(host => host !== refusing);
    this.#fleet.operator.begin("fill hosts", async () => {
      const filled = others.map(async host => {
        const server = await this.#fleet.fill(host);
        if (server !== undefined) this.#filling.push(server);
      });
      await Promise.all(filled).finally(() => this.#letOn());
    });
  }

  #reach(): void {
    if (this.#cutOff !== undefined && this.#refusing !== undefined)
      this.#fleet.world.network.heal(this.#cutOff, this.#refusing);
  }

  #letOn(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const request of held) if (!this.#otherwise(request)) request.arrive(true);
  }

  /** It is let go, but who asked for that is told nothing. */
  #letGoUnseen(request: Intercepted, migration: string): void {
    const { operator, world } = this.#fleet;
    if (!this.#otherwise(request)) request.arrive(false);
    if (this.#meanwhile === "cancelled") operator.begin("cancel", () => operator.cancel(migration));
    this.#reach();
    world.time.after(ANSWER_LOST_MS, undefined, () => request.lose("connection reset"));
  }
}
