/**
 * What both daemons do alike: read the command line, serve until told to stop, and end in one of three ways.
 *
 *   asked to (SIGTERM, SIGINT)   everything is closed in order, exit 0
 *   refused by the world         one sentence and what to do on stderr, exit 1
 *   a bug                        logged with its stack, exit 1 at once: systemd restarts it, the journal resumes
 */

import { parseArgs } from "node:util";
import { type Logger, pino } from "pino";
import { asFault } from "./fault.js";
import { VERSION } from "./version.js";

export interface Daemon<Config extends { readonly log_level: string }> {
  /** `ferry-agent` or `ferry-controller`. */
  readonly program: string;
  readonly defaultConfigPath: string;
  readonly readConfig: (path: string) => Config;
  /** Fields that every log line carries. */
  readonly logFields: (config: Config) => Record<string, string>;
  /** Serves until the signal aborts; `crash` ends the process because of a bug. */
  readonly serve: (config: Config, process: DaemonProcess) => Promise<void>;
}

export interface DaemonProcess {
  readonly log: Logger;
  readonly stopped: AbortSignal;
  readonly environment: NodeJS.ProcessEnv;
  readonly crash: (error: unknown) => never;
}

export async function runDaemon<Config extends { readonly log_level: string }>(
  daemon: Daemon<Config>,
): Promise<void> {
  try {
    await run(daemon);
  } catch (error) {
    const { message, detail } = asFault(error);
    const fix = detail.fix === undefined ? "" : `\n  fix: ${detail.fix}`;
    process.stderr.write(`${daemon.program}: ${message}${fix}\n`);
    process.exitCode = 1;
  }
}

async function run<Config extends { readonly log_level: string }>(daemon: Daemon<Config>): Promise<void> {
  const { values } = parseArgs({
    options: { config: { type: "string", default: daemon.defaultConfigPath }, version: { type: "boolean" } },
  });
  if (values.version) {
    process.stdout.write(`${daemon.program} ${VERSION}\n`);
    return;
  }
  const config = daemon.readConfig(values.config);
  const log = pino({ level: config.log_level, base: daemon.logFields(config) });
  const crash = (error: unknown): never => {
    log.fatal({ err: error }, "a bug ended this process");
    process.exit(1);
  };
  process.on("uncaughtException", crash);
  process.on("unhandledRejection", crash);
  const stopped = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stopped.abort());
  await daemon.serve(config, { log, crash, stopped: stopped.signal, environment: process.env });
  log.info("stopped");
}
