/** Configuration files of both daemons: whole or refused, with the key at fault. */

import { describe, expect, it } from "vitest";
import { parseAgentConfig } from "../../../agent/config.js";
import { parseControllerConfig, storePathOf } from "../../../controller/config.js";

const tls = '[tls]\nca = "/pki/ca.crt"\ncert = "/pki/x.crt"\nkey = "/pki/x.key"\n';
const agentText = `host = "h1"\ncontroller = "ctl:7400"\nlisten = "10.0.0.1:7401"\nmigration_address = "10.1.0.1"\n`;
const controllerText = `name = "ctl"\nlisten = "0.0.0.0:7400"\n`;

const agent = (extra = "") => parseAgentConfig(`${agentText}${extra}${tls}`, "agent.toml");
const controller = (extra = "") =>
  parseControllerConfig(`${controllerText}${extra}${tls}`, "controller.toml");

describe("the agent's configuration", () => {
  it("needs four lines and the certificates; the rest has defaults", () => {
    expect(agent()).toMatchObject({ data_port: 7402, state_dir: "/var/lib/ferry", virt_type: "kvm" });
  });

  it("refuses an unknown key by its name and the file's", () => {
    expect(() => agent('image_dir = "/srv"\n')).toThrow(/agent\.toml: .*image_dir/);
  });

  it("refuses relative folders and malformed addresses", () => {
    expect(() => agent('image_dirs = ["images"]\n')).toThrow(/image_dirs\.0: must be an absolute path/);
    expect(() => parseAgentConfig(agentText.replace("ctl:7400", "ctl") + tls, "a")).toThrow(
      /controller: must be host:port/,
    );
  });

  it("refuses what is no TOML, with the place", () => {
    expect(() => parseAgentConfig("host = ", "agent.toml")).toThrow(/^agent\.toml: /);
  });
});

describe("the controller's configuration", () => {
  it("takes Nova's names for Nova's things", () => {
    const config = controller(
      "resize_confirm_window = 86400\nshutdown_timeout = 30\nmax_attempts = 2\nallow_resize_to_same_host = true\n",
    );
    expect(config).toMatchObject({
      resize_confirm_window: 86_400,
      shutdown_timeout: 30,
      max_attempts: 2,
      allow_resize_to_same_host: true,
    });
  });

  it("knows where its SQLite file is", () => {
    expect(storePathOf(controller('store = "sqlite:///srv/ferry.db"\n'))).toBe("/srv/ferry.db");
  });

  it("knows PostgreSQL, and refuses any other store", () => {
    expect(storePathOf(controller('store = "postgres://ferry@db/ferry"\n'))).toBeUndefined();
    expect(() => controller('store = "mysql://db/ferry"\n')).toThrow(/must be sqlite:/);
  });
});
