/** A TCP relay between two agents that can cut its connections, or go silent without closing them. */

import { connect, createServer, type Socket } from "node:net";

export interface FlakyWire {
  readonly port: number;
  /** Cuts everything once this many more bytes have gone towards the target. */
  cutAfter(bytes: number): void;
  /** Forwards nothing more in either direction, on present and future connections. */
  goSilent(): void;
  /** Takes nothing more from the source, and from the target only if it may answer; until `flow`. */
  stall(options: { readonly answers: boolean }): void;
  flow(): void;
  /** Where new connections go from now on. */
  lead(port: number): void;
  close(): Promise<void>;
}

export async function createFlakyWire(firstTarget: number): Promise<FlakyWire> {
  const sockets = new Set<Socket>();
  /** From the source, to the target. */
  const pairs: { readonly near: Socket; readonly far: Socket }[] = [];
  let targetPort = firstTarget;
  let leftBytes = Number.POSITIVE_INFINITY;
  let isSilent = false;
  const cut = () => {
    leftBytes = Number.POSITIVE_INFINITY;
    for (const socket of sockets) socket.destroy();
  };
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  };
  const forward = (from: Socket, to: Socket, count: (bytes: number) => void) => {
    from.on("data", chunk => {
      if (isSilent) return;
      if (!to.write(chunk)) {
        from.pause();
        to.once("drain", () => from.resume());
      }
      count(chunk.length);
    });
    from.on("close", () => to.destroy());
  };
  const server = createServer(near => {
    const far = connect(targetPort, "127.0.0.1");
    keep(near);
    keep(far);
    pairs.push({ near, far });
    forward(far, near, () => {});
    forward(near, far, bytes => {
      leftBytes -= bytes;
      if (leftBytes <= 0) cut();
    });
  });
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    cutAfter: bytes => {
      leftBytes = bytes;
    },
    goSilent: () => {
      isSilent = true;
    },
    stall: ({ answers }) => {
      for (const { near, far } of pairs) for (const socket of answers ? [near] : [near, far]) socket.pause();
    },
    flow: () => {
      for (const { near, far } of pairs) for (const socket of [near, far]) socket.resume();
    },
    lead: port => {
      targetPort = port;
    },
    close: async () => {
      cut();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
