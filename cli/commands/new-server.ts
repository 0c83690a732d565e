/** What `ferry server create` and `adopt` say alike: where the server may be, how long it may be down, and whose it is. */

import { type Command, InvalidArgumentError } from "commander";
import type { SchedulerHints } from "../../proto/gen/ferry/v1/model.js";
import { keyValue, wholeNumber } from "../arguments.js";

export interface NewServerOptions {
  readonly availabilityZone: string;
  readonly hint?: SchedulerHints;
  readonly imageProperty?: Readonly<Record<string, string>>;
  readonly maxDowntime: number;
  readonly project: string;
}

export function addNewServerOptions(command: Command): Command {
  return command
    .option("--availability-zone <zone>", "only hosts of this zone, now and for every later move", "")
    .option(
      "--hint <key=value>",
      "group=GROUP, same_host=SERVER or different_host=SERVER; holds for every later move; may be repeated",
      hint,
    )
    .option(
      "--image-property <key=value>",
      "what the image asks of a host, e.g. hw_architecture=x86_64; may be repeated",
      keyValue,
    )
    .option(
      "--max-downtime <seconds>",
      "longest downtime of a migration before it goes back; 0: the controller's",
      wholeNumber,
      0,
    )
    .option("--project <name>", "project that owns it; otherwise the caller's", "");
}

/** Their part of the request. */
export const newServerRequest = (options: NewServerOptions) => ({
  availabilityZone: options.availabilityZone,
  schedulerHints: options.hint,
  imageProperties: { ...options.imageProperty },
  maxDowntimeSeconds: options.maxDowntime,
  project: options.project,
});

const NO_HINTS: SchedulerHints = { group: "", sameHost: [], differentHost: [] };

function hint(text: string, sofar: SchedulerHints = NO_HINTS): SchedulerHints {
  const [, key, value = ""] = /^(group|same_host|different_host)=(.+)$/.exec(text) ?? [];
  if (key === "group") return { ...sofar, group: value };
  if (key === "same_host") return { ...sofar, sameHost: [...sofar.sameHost, ...value.split(",")] };
  if (key === "different_host")
    return { ...sofar, differentHost: [...sofar.differentHost, ...value.split(",")] };
  throw new InvalidArgumentError("Must be group=…, same_host=… or different_host=….");
}
