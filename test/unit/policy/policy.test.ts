/** Every method has exactly one rule; roles, ownership and the operator's changes hold. */

import { describe, expect, it } from "vitest";
import { Policy } from "../../../controller/policy/policy.js";
import { METHOD_RULES } from "../../../controller/policy/rules.js";
import * as controllerServices from "../../../proto/gen/ferry/v1/controller.js";
import * as eventServices from "../../../proto/gen/ferry/v1/event.js";
import * as placementServices from "../../../proto/gen/ferry/v1/placement.js";
import type { Identity, Role } from "../../../proto/identity.js";

const user = (role: Role, name = "ana"): Identity => ({ kind: "user", name, domain: "ferry", role });
const agent: Identity = { kind: "agent", name: "h1", domain: "ferry" };
const controller: Identity = { kind: "controller", name: "ctl", domain: "ferry" };

const MIGRATE = "/ferry.v1.ServerService/MigrateServer";
const SHOW = "/ferry.v1.ServerService/ShowServer";
const HEARTBEAT = "/ferry.v1.FleetService/Heartbeat";

const methodsOf = (definition: unknown): string[] =>
  Object.values(definition as Record<string, { path: string }>).map(({ path }) => path);

const allMethods = Object.entries({ ...controllerServices, ...placementServices, ...eventServices })
  .filter(([name]) => name.endsWith("ServiceService"))
  .flatMap(([, definition]) => methodsOf(definition));

describe("the rules", () => {
  it("name every method of every service, and no other", () => {
    expect(allMethods.length).toBeGreaterThan(20);
    expect(Object.keys(METHOD_RULES).sort()).toEqual([...allMethods].sort());
  });
});

describe("a caller", () => {
  it("with the role of a rule, or a higher one, is admitted", () => {
    for (const role of ["manager", "admin"] as const) new Policy().admit(user(role), MIGRATE);
  });

  it("with a lower role is refused in Nova's words, with what it has and needs", () => {
    const refused = () => new Policy().admit(user("member"), MIGRATE);
    expect(refused).toThrow("Policy doesn't allow os_compute_api:os-migrate-server:migrate to be performed.");
    expect(refused).toThrow(
      expect.objectContaining({
        detail: expect.objectContaining({ have: "user/ana, role member", need: "role manager" }),
      }),
    );
  });

  it("that is no user has no role at all", () => {
    for (const identity of [agent, controller])
      expect(() => new Policy().admit(identity, SHOW)).toThrow(/Policy/);
  });

  it("may choose the target only as admin", () => {
    expect(() => new Policy().requireHostChoice(user("manager"))).toThrow(/migrate:host/);
    new Policy().requireHostChoice(user("admin"));
  });

  it("of a method without a rule is refused, tools excepted", () => {
    expect(() => new Policy().admit(user("admin"), "/ferry.v1.ServerService/Unheard")).toThrow(/no rule/);
    new Policy().admit(user("member"), "/grpc.health.v1.Health/Check");
  });
});

describe("heartbeats", () => {
  it("are for agents only, whatever the role of a user", () => {
    new Policy().admit(agent, HEARTBEAT);
    expect(() => new Policy().admit(user("admin"), HEARTBEAT)).toThrow(/for agents/);
  });
});

describe("ownership", () => {
  const server = { owner: "user/ana", project: "", name: "web-1" };

  it("hides a server of another from a member", () => {
    const refused = () => new Policy().requireOwner(user("member", "bob"), SHOW, server);
    expect(refused).toThrow("Instance web-1 could not be found.");
  });

  it("does not bind its owner, a manager or an admin", () => {
    for (const identity of [user("member"), user("manager", "bob"), user("admin", "eve")]) {
      new Policy().requireOwner(identity, SHOW, server);
    }
  });
});

describe("a project", () => {
  const inProject = (role: Role, name: string, project: string): Identity => ({
    ...user(role, name),
    project,
  });
  const server = { owner: "user/ana", project: "blue", name: "web-1" };

  it("shares its servers among its members, and hides them from everybody else's", () => {
    new Policy().requireOwner(inProject("member", "bob", "blue"), SHOW, server);
    for (const other of [inProject("member", "ana", "red"), inProject("manager", "bob", "red")])
      expect(() => new Policy().requireOwner(other, SHOW, server)).toThrow("could not be found");
  });

  it("does not take a server without a project from its owner", () => {
    new Policy().requireOwner(inProject("member", "ana", "red"), SHOW, { ...server, project: "" });
  });
});

describe("a policy file", () => {
  it("changes the role that a rule needs", () => {
    const policy = Policy.parse('"os_compute_api:os-migrate-server:migrate" = "member"');
    policy.admit(user("member"), MIGRATE);
  });

  it("with an unknown rule or role is refused by name", () => {
    expect(() => Policy.parse('"os_compute_api:nothing" = "admin"')).toThrow(/os_compute_api:nothing/);
    expect(() => Policy.parse('"os_compute_api:flavors" = "root"')).toThrow(/"root" is no role/);
  });
});
