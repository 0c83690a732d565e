/** `ferry event`: filters, what a line says, and a watch that goes on where it broke off. */

import { expect, it } from "vitest";
import { Fault } from "../../../proto/fault.js";
import { Event, type WatchEventsRequest } from "../../../proto/gen/ferry/v1/event.js";
import { FakeController } from "./fake-controller.js";

const controller = await FakeController.forThisFile();

const event = (number: number, type: string): Event =>
  Event.create({ number, type, atMs: 1_000, serverName: "web-3", serverStatus: "RESIZE", host: "h1" });

it("are listed by what was asked, and what is lost is said", async () => {
  const failed = { ...event(7, "instance.resize.error"), fault: { message: "no bridge br7" } as never };
  controller.answers.listEvents = async () => ({ events: [failed], lost: 3 });
  const { out, error, code } = await controller.ferry("event list --server web-3 --type instance --after 2");
  expect(controller.requests.at(-1)?.request).toEqual({
    filter: { server: "web-3", migration: "", host: "", type: "instance" },
    after: 2,
    limit: 100,
  });
  expect(code).toBe(0);
  expect(out).toMatch(/\| +7 \| .* \| instance\.resize\.error \| web-3 +\| RESIZE \| h1 .*no bridge br7/);
  expect(error).toMatch(/3 events after that number are not kept any more/);
});

it("are followed as JSON, one object a line, and behind the last one again when the connection breaks", async () => {
  const interrupt = new AbortController();
  const asked: (number | undefined)[] = [];
  controller.answers.watchEvents = async function* ({ after }: WatchEventsRequest) {
    asked.push(after);
    if (after === 4) {
      yield { event: event(5, "instance.resize.start"), lost: 0 };
      throw new Fault("unreachable", "restarting");
    }
    yield { event: event(6, "instance.resize.end"), lost: 0 };
    setTimeout(() => interrupt.abort(new Fault("cancelled", "interrupted")), 50);
    await new Promise(resolve => interrupt.signal.addEventListener("abort", resolve));
  };
  const ran = await controller.ferry("event watch --after 4 -o json", { interrupted: interrupt.signal });
  expect(asked).toEqual([4, 5]);
  const lines = ran.out.trim().split("\n");
  expect(lines.map(line => (JSON.parse(line) as Event).number)).toEqual([5, 6]);
  expect(ran.error).toMatch(/the connection is lost; trying again/);
  expect(ran.code).toBe(130);
});

it("begin with what happens from now on, and say it in a line", async () => {
  const interrupt = new AbortController();
  controller.answers.listEvents = async () => ({ events: [event(8, "service.update")], lost: 0 });
  controller.answers.watchEvents = async function* ({ after }: WatchEventsRequest) {
    yield { event: event((after ?? 0) + 1, "instance.resize_prep.start"), lost: 0 };
    setTimeout(() => interrupt.abort(new Fault("cancelled", "interrupted")), 50);
    await new Promise(resolve => interrupt.signal.addEventListener("abort", resolve));
  };
  const { out } = await controller.ferry("event watch --host h1", { interrupted: interrupt.signal });
  expect(out).toMatch(/^9 {2}1970-.* {2}instance\.resize_prep\.start {2}web-3 {2}on h1 {2}\(RESIZE\)\n$/);
});
