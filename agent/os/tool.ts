/**
 * Runs an external program (qemu-img, mkfs.ext4) as a child that can do little harm.
 *
 * No shell, an environment of nothing but PATH, LC_ALL=C and MALLOC_ARENA_MAX=1, limits on memory, CPU time and the size of any file it
 * writes (`prlimit`), a wall-clock limit after which it is killed, and bounded output. A failure is a Fault with the
 * program's own words; `timeout` means that what it was doing may be half done.
 */

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { basename } from "node:path";
import { Fault } from "../../proto/fault.js";

export interface ToolLimits {
  readonly timeoutMs: number;
  /** Address space; 1 GiB unless told. */
  readonly memoryBytes?: number;
  /** Largest file that it may write; unlimited unless told. */
  readonly fileSizeBytes?: number;
  /** Bytes of standard output kept before the program is killed; 16 MiB unless told. */
  readonly outputBytes?: number;
  readonly signal?: AbortSignal;
  /** Return what it says on standard error, too: some programs tell their version there. */
  readonly withErrors?: boolean;
}

export type Argv = readonly [program: string, ...argumentsOfIt: string[]];

/** Runs a program to its end and returns its standard output. */
export type RunTool = (argv: Argv, limits: ToolLimits) => Promise<string>;

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;
const KEPT_ERROR_BYTES = 64 * 1024;

/** Where the programs are; a daemon's own PATH may lack sbin. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export const runTool: RunTool = async (argv, limits) => {
  const name = basename(argv[0]);
  if (limits.signal?.aborted) throw wasCancelled(name);
  const child = spawn("prlimit", [...limitArguments(limits), "--", ...argv], {
    // One heap: each thread's own would reserve 64 MiB, and some of QEMU's threads are enough to reach the limit.
    env: { PATH, LC_ALL: "C", MALLOC_ARENA_MAX: "1" },
    cwd: "/",
    stdio: "pipe",
  });
  child.stdin.end();
  const { code, killed, stdout, stderr } = await outcome(child, limits);
  if (killed) throw killed(name);
  if (code !== 0) throw failure(name, code, stderr);
  return limits.withErrors === true ? stdout + stderr : stdout;
};

function limitArguments({ timeoutMs, memoryBytes = GIB, fileSizeBytes }: ToolLimits): string[] {
  // Several threads may share the wall-clock limit; this one only stops what the kill below could not.
  const cpuSeconds = Math.ceil(timeoutMs / 1000) * 4;
  const limits = [`--as=${memoryBytes}`, `--cpu=${cpuSeconds}`, "--core=0"];
  return fileSizeBytes === undefined ? limits : [...limits, `--fsize=${fileSizeBytes}`];
}

interface Outcome {
  readonly code: number | string | null;
  readonly killed: ((name: string) => Fault) | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function outcome(child: ChildProcessWithoutNullStreams, limits: ToolLimits): Promise<Outcome> {
  const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
  const { timeoutMs, outputBytes = 16 * MIB, signal } = limits;
  let killed: Outcome["killed"];
  const kill = (why: NonNullable<Outcome["killed"]>) => {
    killed ??= why;
    child.kill("SIGKILL");
  };
  const timer = setTimeout(() => kill(tookTooLong(timeoutMs)), timeoutMs);
  const onAbort = () => kill(wasCancelled);
  signal?.addEventListener("abort", onAbort, { once: true });
  const stdout = collect(child.stdout, outputBytes, () => kill(saidTooMuch));
  const stderr = collect(child.stderr, KEPT_ERROR_BYTES, () => {});
  const settle = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  };
  child.once("error", error => {
    settle();
    reject(
      new Fault("unsupported", `prlimit: ${error.message}`, { fix: "install util-linux" }, { cause: error }),
    );
  });
  child.once("close", (code, signalName) => {
    settle();
    resolve({ code: code ?? signalName, killed, stdout: stdout(), stderr: stderr() });
  });
  return promise;
}

/** Keeps at most `limit` bytes of a stream; `onOverflow` is told when there were more. */
function collect(stream: NodeJS.ReadableStream, limit: number, onOverflow: () => void): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream.on("data", (chunk: Buffer) => {
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
    else onOverflow();
  });
  return () => Buffer.concat(chunks).toString("utf8");
}

const tookTooLong = (timeoutMs: number) => (name: string) =>
  new Fault("timeout", `${name}: killed after ${timeoutMs} ms`);
const wasCancelled = (name: string) => new Fault("cancelled", `${name}: cancelled`);
const saidTooMuch = (name: string) => new Fault("failed", `${name}: killed, its output has no end`);

/** prlimit ends with 127 or says so itself when there is no such program. */
function failure(name: string, code: number | string | null, stderr: string): Fault {
  const said = stderr.trim().replaceAll("\n", "; ").slice(0, 2000);
  if (/failed to execute .*: No such file/.test(said)) {
    return new Fault("unsupported", `${name} is not installed`, { fix: `install the package of ${name}` });
  }
  if (/No space left on device|Disk quota exceeded/.test(said)) {
    return new Fault("out-of-space", `${name}: ${said}`, { fix: "free space on that file system" });
  }
  const ending = typeof code === "number" ? `exit ${code}` : `killed by ${code}`;
  return new Fault("failed", `${name}: ${said || ending}`);
}
