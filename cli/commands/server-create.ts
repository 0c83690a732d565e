/** `ferry server create`: a new virtual machine from a flavor and an image. */

import { readFileSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { Fault } from "../../proto/fault.js";
import { ServerServiceService } from "../../proto/gen/ferry/v1/controller.js";
import { NetworkInterface } from "../../proto/gen/ferry/v1/model.js";
import { keyValue } from "../arguments.js";
import { serverFields } from "../output/server-view.js";
import { present } from "../present.js";
import type { Runner } from "../runner.js";
import { addNewServerOptions, type NewServerOptions, newServerRequest } from "./new-server.js";

/** An image may have to be copied first. */
const CREATE_MS = 600_000;

interface CreateOptions extends NewServerOptions {
  readonly flavor: string;
  readonly image: string;
  readonly imageFormat: string;
  readonly host: string;
  readonly nic?: readonly NetworkInterface[];
  readonly firmware: string;
  readonly vtpm?: boolean;
  readonly rootMode: string;
  readonly configDrive?: Readonly<Record<string, string>>;
  readonly start: boolean;
}

const HELP = `
The image is a file in an image folder of the host. Its format is never guessed.

Examples:
  ferry server create web-3 --flavor m1.small --image /var/lib/ferry/images/debian.qcow2 --image-format qcow2
  ferry server create db-1 --flavor m1.large --image /srv/images/db.raw --image-format raw --root-mode copy \\
      --nic bridge=br0 --firmware efi --vtpm --host h2
  ferry server create db-2 --flavor m1.large --image /srv/images/db.raw --image-format raw \\
      --availability-zone east --hint group=databases --hint different_host=db-1
`;

export function addCreate(server: Command, runner: Runner): void {
  const command = server
    .command("create")
    .description("create a server from a flavor and an image")
    .argument("<name>", "name of the server")
    .requiredOption("--flavor <flavor>", "name or id of its size")
    .requiredOption("--image <path>", "image file on the host")
    .addOption(
      new Option("--image-format <format>", "format of the image")
        .choices(["qcow2", "raw"])
        .makeOptionMandatory(),
    )
    .option("--host <host>", "where; otherwise the scheduler chooses", "")
    .option(
      "--nic <type=source>",
      "bridge=NAME or network=NAME, then optionally ,mac=…; may be repeated",
      networkInterface,
    )
    .addOption(
      new Option("--firmware <kind>", "what the machine boots with").choices(["bios", "efi"]).default("bios"),
    )
    .option("--vtpm", "give it a virtual TPM")
    .addOption(
      new Option("--root-mode <mode>", "overlay: qcow2 on the image; copy: raw and independent of it")
        .choices(["overlay", "copy"])
        .default("overlay"),
    )
    .option("--config-drive <name=file>", "a file for its config drive; may be repeated", keyValue)
    .option("--no-start", "leave it switched off");
  addNewServerOptions(command)
    .addHelpText("after", HELP)
    .action(
      runner.online(async (session, options: CreateOptions, name = "") => {
        const request = {
          name,
          flavor: options.flavor,
          imagePath: options.image,
          imageFormat: options.imageFormat,
          host: options.host,
          interfaces: [...(options.nic ?? [])],
          firmware: options.firmware,
          vtpm: options.vtpm ?? false,
          rootMode: options.rootMode,
          configDrive: readConfigDrive(options.configDrive ?? {}),
          start: options.start,
          noWait: false,
          ...newServerRequest(options),
        };
        const answer = await session.change(ServerServiceService.createServer, request, CREATE_MS);
        const created = present(answer.server, "a server");
        session.output.record(created, serverFields(created));
      }),
    );
}

/** `bridge=br0,mac=52:54:00:12:34:56`; without a mac the controller makes one. */
function networkInterface(text: string, sofar: readonly NetworkInterface[] = []): NetworkInterface[] {
  const match = /^(bridge|network)=([^,=]+)(?:,mac=([0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}))?$/.exec(text);
  if (match === null)
    throw new InvalidArgumentError("Must be bridge=NAME or network=NAME, then optionally ,mac=MAC.");
  const [, type = "", source = "", mac = ""] = match;
  return [...sofar, NetworkInterface.create({ type, source, mac: mac.toLowerCase() })];
}

function readConfigDrive(files: Readonly<Record<string, string>>): Record<string, Buffer> {
  const read = ([name, path]: [string, string]) => {
    try {
      return [name, readFileSync(path)] as const;
    } catch (error) {
      const cause = error instanceof Error ? error.message : String(error);
      throw new Fault("invalid-argument", `read ${name} for the config drive: ${cause}`);
    }
  };
  return Object.fromEntries(Object.entries(files).map(read));
}
