/**
 * Where the controller is and who we are: `client.toml`.
 *
 *     controller = "ctl:7400"
 *     [tls]
 *     ca = "ca.crt"          # relative to the folder of this file
 *     cert = "user.crt"
 *     key = "user.key"
 *
 * The first that exists of --config, $FERRY_CONFIG, ~/.config/ferry/client.toml and /etc/ferry/client.toml is used.
 */

import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parse } from "smol-toml";
import { z } from "zod";
import { Fault } from "../proto/fault.js";
import { CONTROLLER_PORT, formatServerAddress, parseServerAddress } from "../proto/server-address.js";
import type { TlsPaths } from "../proto/tls-files.js";
import type { Shell } from "./shell.js";

export interface ClientConfig {
  /** `host:port` */
  readonly controller: string;
  readonly tls: TlsPaths;
}

export interface ConfigChoice {
  readonly config?: string;
  readonly controller?: string;
}

const schema = z.strictObject({
  controller: z.string().optional(),
  tls: z.strictObject({ ca: z.string(), cert: z.string(), key: z.string() }),
});

export function loadConfig(choice: ConfigChoice, shell: Pick<Shell, "environment" | "home">): ClientConfig {
  const file = findFile(choice, shell);
  const { controller = choice.controller, tls } = parseFile(file);
  const address = choice.controller ?? controller;
  if (address === undefined) {
    throw new Fault("invalid-argument", `${file} names no controller`, {
      fix: 'add controller = "HOST:PORT", or give --controller',
    });
  }
  const place = (path: string) =>
    path.startsWith("~/") ? join(shell.home, path.slice(2)) : resolve(dirname(file), path);
  return {
    controller: formatServerAddress(parseServerAddress(address, CONTROLLER_PORT)),
    tls: { ca: place(tls.ca), cert: place(tls.cert), key: place(tls.key) },
  };
}

function findFile(
  { config }: ConfigChoice,
  { environment, home }: Pick<Shell, "environment" | "home">,
): string {
  const named = config ?? environment.FERRY_CONFIG;
  if (named !== undefined && named !== "") return named;
  const usual = [join(home, ".config/ferry/client.toml"), "/etc/ferry/client.toml"];
  const found = usual.find(path => existsSync(path));
  if (found !== undefined) return found;
  throw new Fault("invalid-argument", "there is no configuration", {
    need: `${usual.join(" or ")}, with controller and [tls]`,
    fix: "write one (see `ferry help`), or name it with --config",
  });
}

function parseFile(file: string): z.infer<typeof schema> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new Fault("invalid-argument", `read the configuration: ${message(error)}`);
  }
  let table: unknown;
  try {
    table = parse(text);
  } catch (error) {
    throw new Fault("invalid-argument", `${file} is not TOML: ${message(error).split("\n", 1)[0] ?? ""}`);
  }
  const parsed = schema.safeParse(table);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Fault(
    "invalid-argument",
    `${file}: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "not understood"}`,
  );
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error));
