/**
 * Where connections to a gRPC server come in: so many at a time, and so many from one address, that nobody keeps the others
 * out. grpc-js itself takes whatever comes. Whoever is too many is hung up on; a client tries again later.
 */

import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { Fault } from "./fault.js";
import type { ListenerLimits } from "./listener-limits.js";
import { parseServerAddress } from "./server-address.js";

const NOT_HERE = ["EADDRNOTAVAIL", "EAFNOSUPPORT"];

export interface FrontDoor {
  readonly port: number;
  /** Lets nobody in any more. */
  shut(): void;
  /** Hangs up on everybody. */
  clear(): void;
}

type Limits = Pick<ListenerLimits, "connections" | "connectionsOfPeer">;

/** `address` is `host:port`; port 0 takes any free one. A name is listened on at all of its addresses that are of this machine. */
export async function openFrontDoor(
  address: string,
  limits: Limits,
  letIn: (socket: Socket) => void,
  resolve = addressesOf,
): Promise<FrontDoor> {
  const { host, port: wanted } = parseServerAddress(address, 0);
  const visitors = new Visitors(limits);
  const servers: Server[] = [];
  let port = wanted;
  try {
    for (const own of await resolve(host)) {
      const server = createServer({ noDelay: true }, socket => {
        if (visitors.admit(socket)) letIn(socket);
        else socket.destroy();
      });
      if (!(await listensOn(server, port, own))) continue;
      servers.push(server);
      ({ port } = server.address() as AddressInfo);
    }
    if (servers.length === 0) {
      const fix = "listen at an address of this machine, or at 0.0.0.0";
      throw new Fault("invalid-argument", `no address of ${host} is one of this machine`, { fix });
    }
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
  return {
    port,
    shut: () => servers.forEach(server => void server.close()),
    clear: () => visitors.clear(),
  };
}

const addressesOf = async (host: string): Promise<string[]> =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/** False where this machine does not have that address, as ::1 of localhost without IPv6. */
async function listensOn(server: Server, port: number, address: string): Promise<boolean> {
  try {
    await once(server.listen(port, address), "listening");
  } catch (error) {
    if (NOT_HERE.includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
  return true;
}

/** Who is connected, by address. */
class Visitors {
  readonly #limits: Limits;
  readonly #sockets = new Set<Socket>();
  readonly #ofPeer = new Map<string, number>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  admit(socket: Socket): boolean {
    // Whoever is gone already has no address any more.
    const { remoteAddress: peer } = socket;
    const { connections, connectionsOfPeer } = this.#limits;
    const isFull = this.#sockets.size >= connections;
    if (peer === undefined || isFull || this.#countOf(peer) >= connectionsOfPeer) return false;
    this.#sockets.add(socket);
    this.#ofPeer.set(peer, this.#countOf(peer) + 1);
    socket.once("close", () => this.#leave(socket, peer));
    return true;
  }

  clear(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #countOf(peer: string): number {
    return this.#ofPeer.get(peer) ?? 0;
  }

  #leave(socket: Socket, peer: string): void {
    this.#sockets.delete(socket);
    const left = this.#countOf(peer) - 1;
    if (left === 0) this.#ofPeer.delete(peer);
    else this.#ofPeer.set(peer, left);
  }
}
