/**
 * One end of a Ferry copy as a process of its own: what an agent does with a disk, without the rest of the agent.
 *
 * It gets one order by IPC, says when it is ready, and then what became of it. It ends with its parent.
 */

import type { CompressionPolicy } from "../../agent/os/engine.js";
import { nativeEngine } from "../../agent/os/engine.js";
import { nativeFiles } from "../../agent/os/native-files.js";
import type { TlsMaterial } from "../../agent/transfer/channel.js";
import { sendFiles } from "../../agent/transfer/source.js";
import { TransferListener } from "../../agent/transfer/target.js";

export interface SourceOrder {
  readonly role: "source";
  readonly tls: TlsMaterial;
  readonly path: string;
  readonly address: string;
  readonly port: number;
  readonly targetHost: string;
  readonly connections: number;
  readonly compression: CompressionPolicy;
}

export interface TargetOrder {
  readonly role: "target";
  readonly tls: TlsMaterial;
  readonly path: string;
  readonly sizeBytes: number;
  readonly address: string;
  readonly sourceHost: string;
  /** False: what was written is not read back, which no agent ever does. */
  readonly readsBack: boolean;
  /** False: another pass over the same file will come. */
  readonly isLastPass: boolean;
  /** False: what an earlier pass left is read anew, not believed. */
  readonly trustsManifest: boolean;
}

export type Order = SourceOrder | TargetOrder;

export type Answer =
  | { readonly kind: "listening"; readonly port: number }
  | { readonly kind: "ready" }
  | { readonly kind: "sent" }
  | {
      readonly kind: "received";
      readonly algorithm: string;
      readonly readBackMode: string;
      /** By how much the process grew while it received. */
      readonly growthMib: number;
    }
  | { readonly kind: "failed"; readonly reason: string };

const transfer = { migrationId: "bench", serverId: "bench", epoch: 1, token: "0".repeat(64) };
const clock = { nowMs: () => Date.now() };
const log = { info: () => {}, warn: () => {} };

const peakMib = () => process.resourceUsage().maxRSS / 1024;

const say = (answer: Answer) => process.send?.(answer);

async function receive(order: TargetOrder): Promise<void> {
  const { path: targetPath, sizeBytes, sourceHost, readsBack, isLastPass, trustsManifest } = order;
  const listener = new TransferListener({
    tls: () => order.tls,
    engine: nativeEngine(),
    files: nativeFiles(),
    clock,
    log,
    readsBack,
  });
  const { port } = await listener.listen(order.address, 0);
  const files = [{ id: "disk", targetPath, sizeBytes, mode: 0o600 }];
  const { done } = listener.expect({ ...transfer, sourceHost, files, isLastPass, trustsManifest });
  const beforeMib = peakMib();
  say({ kind: "listening", port });
  const receipt = await done;
  say({
    kind: "received",
    algorithm: receipt.algorithm,
    readBackMode: receipt.files[0]?.readBackMode ?? "unknown",
    growthMib: Math.round(peakMib() - beforeMib),
  });
}

async function send(order: SourceOrder): Promise<void> {
  const told = new Promise(resolve => process.once("message", resolve));
  say({ kind: "ready" });
  await told;
  const { address, port, targetHost: expectHost, connections, compression } = order;
  const files = [{ id: "disk", path: order.path }];
  await sendFiles(
    { engine: nativeEngine(), files: nativeFiles(), clock, log },
    { ...transfer, address, port, expectHost, tls: () => order.tls, files, connections, compression },
  );
  say({ kind: "sent" });
}

process.once("disconnect", () => process.exit());
process.once("message", (order: Order) => {
  const work = order.role === "target" ? receive(order) : send(order);
  work.catch((error: unknown) =>
    say({ kind: "failed", reason: error instanceof Error ? error.message : String(error) }),
  );
});
