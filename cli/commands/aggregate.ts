/** `ferry aggregate`: hosts that have something in common. Commands and options are those of the OpenStack client. */

import type { Command } from "commander";
import { type Aggregate, AggregateServiceService } from "../../proto/gen/ferry/v1/placement.js";
import { collect, keyValue } from "../arguments.js";
import { AGGREGATE_COLUMNS, aggregateFields, ZONE_COLUMNS } from "../output/placement-view.js";
import { present } from "../present.js";
import type { Runner } from "../runner.js";
import type { Session } from "../session.js";

const show = (session: Session, aggregate: Aggregate | undefined): void => {
  const shown = present(aggregate, "an aggregate");
  session.output.record(shown, aggregateFields(shown));
};

export function addAggregateCommands(program: Command, runner: Runner): void {
  const aggregate = program
    .command("aggregate")
    .description("hosts that have something in common, and availability zones");
  addCreate(aggregate, runner);
  addReading(aggregate, runner);
  addSet(aggregate, runner);
  addMembership(aggregate, runner, "add");
  addMembership(aggregate, runner, "remove");
  aggregate
    .command("delete")
    .description("delete an aggregate that has no hosts")
    .argument("<aggregate>", "name or id")
    .addHelpText("after", "\nExample:\n  ferry aggregate delete fast\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        await session.call(AggregateServiceService.deleteAggregate, { aggregate: name });
        session.output.say(`aggregate ${name} deleted`);
      }),
    );
}

function addCreate(aggregate: Command, runner: Runner): void {
  interface CreateOptions {
    readonly zone: string;
    readonly property?: Readonly<Record<string, string>>;
  }
  aggregate
    .command("create")
    .description("create an aggregate")
    .argument("<name>", "name of the aggregate")
    .option("--zone <zone>", "availability zone of its hosts", "")
    .option("--property <key=value>", "metadata that the filters read; may be repeated", keyValue)
    .addHelpText(
      "after",
      "\nExamples:\n  ferry aggregate create east --zone east\n  ferry aggregate create fast --property ssd=true\n",
    )
    .action(
      runner.online(async (session, { zone, property }: CreateOptions, name = "") => {
        const request = { name, availabilityZone: zone, metadata: { ...property } };
        const answer = await session.call(AggregateServiceService.createAggregate, request);
        show(session, answer.aggregate);
      }),
    );
}

function addReading(aggregate: Command, runner: Runner): void {
  aggregate
    .command("list")
    .description("list aggregates")
    .addHelpText("after", "\nExample:\n  ferry aggregate list\n")
    .action(
      runner.online(async session => {
        const { aggregates } = await session.call(AggregateServiceService.listAggregates, {});
        session.output.list(aggregates, AGGREGATE_COLUMNS);
      }),
    );
  aggregate
    .command("show")
    .description("show an aggregate")
    .argument("<aggregate>", "name or id")
    .addHelpText("after", "\nExample:\n  ferry aggregate show fast\n")
    .action(
      runner.online(async (session, _options, name = "") => {
        const answer = await session.call(AggregateServiceService.showAggregate, { aggregate: name });
        show(session, answer.aggregate);
      }),
    );
  aggregate
    .command("zones")
    .description("list availability zones")
    .addHelpText("after", "\nExample:\n  ferry aggregate zones\n")
    .action(
      runner.online(async session => {
        const { zones } = await session.call(AggregateServiceService.listAvailabilityZones, {});
        session.output.list(zones, ZONE_COLUMNS);
      }),
    );
}

function addSet(aggregate: Command, runner: Runner): void {
  interface SetOptions {
    readonly name?: string;
    readonly zone?: string;
    readonly property?: Readonly<Record<string, string>>;
    readonly unset?: readonly string[];
  }
  aggregate
    .command("set")
    .description("change an aggregate")
    .argument("<aggregate>", "name or id")
    .option("--name <name>", "its new name")
    .option("--zone <zone>", 'its new availability zone; "": none')
    .option("--property <key=value>", "metadata to set; may be repeated", keyValue)
    .option("--unset <key>", "metadata to remove; may be repeated", collect)
    .addHelpText("after", "\nExample:\n  ferry aggregate set fast --property ssd=true --unset old\n")
    .action(
      runner.online(async (session, options: SetOptions, aggregateName = "") => {
        const { name, zone: availabilityZone, property = {}, unset = [] } = options;
        const change = { aggregate: aggregateName, name, availabilityZone };
        let { aggregate: changed } = await session.call(AggregateServiceService.updateAggregate, change);
        if (Object.keys(property).length + unset.length > 0) {
          const id = String(present(changed, "an aggregate").id);
          const request = { aggregate: id, set: { ...property }, unset: [...unset] };
          ({ aggregate: changed } = await session.call(
            AggregateServiceService.setAggregateMetadata,
            request,
          ));
        }
        show(session, changed);
      }),
    );
}

function addMembership(aggregate: Command, runner: Runner, word: "add" | "remove"): void {
  const method =
    word === "add" ? AggregateServiceService.addAggregateHost : AggregateServiceService.removeAggregateHost;
  const group = aggregate.command(word).description(`${word} a host`);
  group
    .command("host")
    .description(word === "add" ? "put a host into an aggregate" : "take a host out of an aggregate")
    .argument("<aggregate>", "name or id")
    .argument("<host>", "name of the host")
    .addHelpText("after", `\nExample:\n  ferry aggregate ${word} host fast h1\n`)
    .action(
      runner.online(async (session, _options, name = "", host = "") => {
        const answer = await session.call(method, { aggregate: name, host });
        show(session, answer.aggregate);
      }),
    );
}
