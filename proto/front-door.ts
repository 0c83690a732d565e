/**
 * Where connections to a gRPC server come in: so many at a time, and so many from one address, that nobody keeps the others
 * out. grpc-js itself takes whatever comes. Whoever is too many is hung up on; a client tries again later.
 */

import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { ListenerLimits } from "./listener-limits.js";
import { parseServerAddress } from "./server-address.js";

export interface FrontDoor {
  readonly port: number;
  /** Lets nobody in any more. */
  shut(): void;
  /** Hangs up on everybody. */
  clear(): void;
}

type Limits = Pick<ListenerLimits, "connections" | "connectionsOfPeer">;

/** `address` is `host:port`; port 0 takes any free one. A name is listened on at all of its addresses. */
export async function openFrontDoor(
  address: string,
  limits: Limits,
  letIn: (socket: Socket) => void,
): Promise<FrontDoor> {
  const { host, port: wanted } = parseServerAddress(address, 0);
  const visitors = new Visitors(limits);
  const servers: Server[] = [];
  let port = wanted;
  try {
    for (const { address: own } of await lookup(host, { all: true })) {
      const server = createServer({ noDelay: true }, socket => {
        if (visitors.admit(socket)) letIn(socket);
        else socket.destroy();
      });
      servers.push(server.listen(port, own));
      await once(server, "listening");
      ({ port } = server.address() as AddressInfo);
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
