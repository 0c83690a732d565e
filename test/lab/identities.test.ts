/**
 * Who may ask for what, with the certificates that `ferry pki` issues: the controller obeys people by their role, an agent
 * obeys its controller, and nobody obeys a stranger.
 */

import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bareServer } from "./bare-guest.js";
import { type Finished, Lab } from "./lab.js";
import { expectRefusal } from "./refusal.js";

const CA = "/etc/ferry/ca";
const PKI = "/etc/ferry/pki";

/** Controller, agent, and disk data. */
const PORTS = ["ctl:7400", "h1:7401", "h1-mig:7402"];

let lab: Lab;

beforeAll(async () => {
  lab = await Lab.up({ id: "identities", hosts: 2 });
  await issue("member", "user alice --role member");
  await issue("manager", "user bob --role manager");
  await issue("agent", "agent h9");
  await onCtl(`ferry pki init --dir /etc/ferry/other-ca
    ferry pki issue user admin --role admin --dir /etc/ferry/other-ca --out /etc/ferry/stranger
    cp -r /etc/ferry/stranger /etc/ferry/mixed && cp ${PKI}/ca.crt /etc/ferry/mixed/ca.crt`);
  await configure("stranger", "user");
  await configure("mixed", "user");
  await bareServer(lab, "h1", { name: "web" });
});
afterAll(() => lab.down());

const onCtl = (script: string): Promise<string> => lab.output("ctl", ["sh", "-euc", script]);

/** A certificate of the lab's own CA, in a folder and a client configuration named after it. */
async function issue(name: string, words: string): Promise<void> {
  await onCtl(`ferry pki issue ${words} --dir ${CA} --out /etc/ferry/${name}`);
  await configure(name, words.split(" ")[0] ?? "");
}

const configure = (name: string, kind: string): Promise<string> =>
  onCtl(`cat >/etc/ferry/${name}.toml <<TOML
controller = "ctl:7400"
[tls]
ca = "/etc/ferry/${name}/ca.crt"
cert = "/etc/ferry/${name}/${kind}.crt"
key = "/etc/ferry/${name}/${kind}.key"
TOML`);

const as = (name: string, ...words: string[]): string[] => ["--config", `/etc/ferry/${name}.toml`, ...words];

/** A client that trusts us, and presents what it is given. */
const handshake = (address: string, ...words: string[]): Promise<Finished> =>
  lab.exec("ctl", [
    "sh",
    "-c",
    `timeout 10 openssl s_client -connect ${address} -CAfile ${PKI}/ca.crt -alpn h2 \
    -quiet ${words.join(" ")} </dev/null 2>&1`,
  ]);

const ROOT = resolve(import.meta.dirname, "../..");

/** A client that is not ours, with a certificate of /etc/ferry. */
const curl = (url: string, certificate: string, body: object): Promise<Finished> =>
  lab.exec("ctl", [
    `${ROOT}/node_modules/.bin/buf`,
    "curl",
    "--protocol=grpc",
    `--schema=${ROOT}/proto`,
    `--cacert=${PKI}/ca.crt`,
    `--cert=/etc/ferry/${certificate}.crt`,
    `--key=/etc/ferry/${certificate}.key`,
    `--data=${JSON.stringify(body)}`,
    `https://${url}`,
  ]);

describe("a connection is refused to", () => {
  it.each(PORTS)("a client without a certificate (%s)", async address => {
    const { stdout } = await handshake(address);
    expect(stdout).toMatch(/certificate required/);
  });

  it.each(PORTS)("a certificate of another CA (%s)", async address => {
    const own = "-cert /etc/ferry/stranger/user.crt -key /etc/ferry/stranger/user.key";
    const { code, stdout } = await handshake(address, own);
    expect({ code, stdout }).toEqual({ code: 1, stdout: expect.stringMatching(/alert|unexpected eof/) });
  });
});

describe("the controller refuses", () => {
  it("a user whose certificate another CA has issued", async () => {
    const words = ["server", "migrate", "web", "--host", "h2", "--wait"];
    const mixed = ["user.crt was not issued by the CA in /etc/ferry/mixed/ca.crt", "fix:"];
    await expectRefusal(lab, as("mixed", ...words), { exit: 2, says: mixed });
    await expectRefusal(lab, as("stranger", ...words), {
      exit: 8,
      says: ["certificate", "need: certificates of one CA"],
    });
  });

  it("a member who wants to move, adopt or disable", async () => {
    const denied = "Policy doesn't allow";
    await expectRefusal(lab, as("member", "server", "migrate", "web", "--host", "h2"), {
      exit: 8,
      says: [
        denied,
        "os-migrate-server:migrate",
        "have: user/alice, role member",
        "need: role manager",
        "fix:",
      ],
    });
    const adopt = as("member", "server", "adopt", "web", "--host", "h1");
    await expectRefusal(lab, adopt, { exit: 8, says: [denied, "ferry:servers:adopt", "need: role admin"] });
    const disable = as("member", "host", "disable", "h2");
    await expectRefusal(lab, disable, { exit: 8, says: [denied, "os-services:update", "need: role admin"] });
  });

  it("a member the server of another, as if it did not exist", async () => {
    const { stdout } = await lab.ferry(...as("member", "server", "list"));
    expect(stdout).not.toContain("web");
    for (const action of ["show", "stop", "confirm", "start"]) {
      const words = as("member", "server", action, "web");
      await expectRefusal(lab, words, { exit: 9, says: ["Instance web could not be found."] });
    }
  });

  it("a manager the choice of the target", async () => {
    const words = as("manager", "server", "migrate", "web", "--host", "h2");
    await expectRefusal(lab, words, {
      exit: 8,
      says: ["os-migrate-server:migrate:host", "need: role admin"],
    });
    expect(await lab.ferry(...as("manager", "server", "migrate", "web", "--dry-run"))).toMatchObject({
      code: 0,
    });
  });

  it("an agent whatever is asked of people", async () => {
    for (const words of [
      ["host", "disable", "h2"],
      ["server", "list"],
      ["server", "migrate", "web"],
    ]) {
      await expectRefusal(lab, as("agent", ...words), {
        exit: 8,
        says: ["Policy doesn't allow", "have: agent/h9"],
      });
    }
  });
});

describe("an agent obeys its controller only", () => {
  it.each([
    ["an admin", "pki/user"],
    ["another agent", "agent/agent"],
  ])("not %s", async (_who, certificate) => {
    const address = "h1:7401/ferry.v1.AgentService";
    for (const [method, body] of [
      ["DescribeHost", {}],
      ["Perform", { key: "k", stopDomain: {} }],
      ["CancelOperation", { key: "k" }],
    ] as const) {
      const { code, stderr } = await curl(`${address}/${method}`, certificate, body);
      expect({ code, stderr }).toMatchObject({
        code: expect.any(Number),
        stderr: expect.stringContaining("permission_denied"),
      });
      expect(code).not.toBe(0);
      expect(stderr).toContain("agents obey controllers only");
    }
  });
});

describe("a heartbeat", () => {
  const beat = "ctl:7400/ferry.v1.FleetService/Heartbeat";

  it("comes from an agent, not from a person", async () => {
    const { stderr } = await curl(beat, "pki/user", { host: "h1" });
    expect(stderr).toContain("permission_denied");
    expect(stderr).toContain("is for agents");
  });

  it("speaks for the host of that agent alone", async () => {
    const { stderr } = await curl(beat, "agent/agent", { host: "h1" });
    expect(stderr).toContain("permission_denied");
    expect(stderr).toContain("agent/h9 may not speak for host h1");
  });
});
