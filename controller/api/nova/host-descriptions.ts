/**
 * What the machines are made of, asked of their agents once per boot and agent: Nova's detailed list has it for every
 * host. A few are asked at a time; a host that does not answer is shown without.
 */

import { HostServiceService } from "../../../proto/gen/ferry/v1/controller.js";
import type { HostDescription } from "../../../proto/gen/ferry/v1/host.js";
import type { Host } from "../../../proto/gen/ferry/v1/model.js";
import type { LocalCall } from "../local-calls.js";

const AT_A_TIME = 8;

interface Known {
  readonly stamp: string;
  readonly description: HostDescription;
}

export class HostDescriptions {
  readonly #known = new Map<string, Known>();

  /** By host name. */
  async of(hosts: readonly Host[], call: LocalCall): Promise<Map<string, HostDescription>> {
    const unknown = hosts.filter(
      host => host.state === "up" && this.#known.get(host.name)?.stamp !== stampOf(host),
    );
    const asking = Array.from({ length: AT_A_TIME }, async () => {
      for (let host = unknown.shift(); host !== undefined; host = unknown.shift())
        await this.#ask(host, call);
    });
    await Promise.all(asking);
    return new Map(
      hosts.flatMap(({ name }) => {
        const known = this.#known.get(name);
        return known === undefined ? [] : [[name, known.description] as const];
      }),
    );
  }

  async #ask(host: Host, call: LocalCall): Promise<void> {
    const answer = await call(HostServiceService.showHost, { name: host.name }).catch(() => undefined);
    const description = answer?.description;
    if (description !== undefined) this.#known.set(host.name, { stamp: stampOf(host), description });
  }
}

const stampOf = ({ bootId, agentVersion }: Host): string => `${bootId} ${agentVersion}`;
