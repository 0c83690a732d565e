/** The command line as a whole: its reference, its version, its completion. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../../cli/config.js";
import { renderDocs } from "../../../cli/docs.js";
import { buildProgram } from "../../../cli/program.js";
import { Runner } from "../../../cli/runner.js";
import { run, SILENT_SHELL } from "./shell.js";

describe("the command line", () => {
  it("is documented as it is (npm run docs:cli)", async () => {
    await expect(renderDocs(SILENT_SHELL)).toMatchFileSnapshot("../../../docs/cli.md");
  });

  it("has an example in the help of every command", () => {
    const leaves = renderDocs(SILENT_SHELL)
      .split(/^### /m)
      .slice(1)
      .filter(section => !section.includes("\nCommands:"));
    expect(leaves.length).toBeGreaterThan(20);
    expect(leaves.filter(section => !/Examples?:\n {2}ferry /.test(section))).toEqual([]);
  });

  it("states its version", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(await run(["--version"])).toMatchObject({ code: 0, out: `ferry ${version}\n` });
  });

  it("suggests what was meant", async () => {
    expect((await run(["server", "migrat"])).error).toContain("Did you mean migrate?");
  });
});

describe("bash completion", () => {
  const complete = async (...words: string[]) => {
    const { out } = await run(["completion", "bash"]);
    const array = words.map(word => `'${word}'`).join(" ");
    const script = `${out}\nCOMP_WORDS=(ferry ${array}); COMP_CWORD=${words.length}; _ferry; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync("bash", ["-c", script], { encoding: "utf8" }).trim().split("\n");
  };

  it("knows commands and options, past names and global options", async () => {
    expect(await complete("mig")).toEqual(["migration"]);
    expect(await complete("server", "m")).toEqual(["migrate"]);
    expect(await complete("-o", "json", "server", "re")).toEqual(["resize", "revert", "reset-state"]);
    expect(await complete("server", "migrate", "web-3", "--dry")).toEqual(["--dry-run"]);
    expect(await complete("server", "migrate", "server", "--wa")).toEqual(["--wait", "--watch"]);
    expect(await complete("pki", "issue", "--cont")).toEqual(["--controller"]);
  });
});

describe("the configuration", () => {
  const withFile = (text: string, use: (file: string) => void) => {
    const folder = mkdtempSync(join(tmpdir(), "ferry-config-"));
    try {
      writeFileSync(join(folder, "client.toml"), text);
      use(join(folder, "client.toml"));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };
  const tls = '[tls]\nca = "ca.crt"\ncert = "/etc/user.crt"\nkey = "~/user.key"\n';
  const at = (environment: Record<string, string>, home = "/home/al") => ({ environment, home });

  it("finds files beside it, in the home folder and anywhere", () => {
    withFile(`controller = "ctl"\n${tls}`, file => {
      expect(loadConfig({ config: file }, at({}))).toEqual({
        controller: "ctl:7400",
        tls: { ca: join(file, "../ca.crt"), cert: "/etc/user.crt", key: "/home/al/user.key" },
      });
    });
  });

  it("is taken from FERRY_CONFIG unless an option names it, and --controller goes before its own", () => {
    withFile(tls, file => {
      expect(() => loadConfig({}, at({ FERRY_CONFIG: file }))).toThrow("names no controller");
      expect(loadConfig({ controller: "[fd00::1]:7" }, at({ FERRY_CONFIG: file })).controller).toBe(
        "[fd00::1]:7",
      );
      expect(() => loadConfig({ config: "/nowhere" }, at({ FERRY_CONFIG: file }))).toThrow("/nowhere");
    });
  });

  it.each([
    ["controller = ", "is not TOML"],
    ["controller = 7\n", "controller: "],
    [`server = "x"\n${tls}`, "server"],
    [`controller = "a b"\n${tls}`, "is not an address"],
  ])("is refused by name when it says %j", (text, why) => {
    withFile(text, file => expect(() => loadConfig({ config: file }, at({}))).toThrow(why));
  });
});

describe("commands", () => {
  it("are those that operators were promised", () => {
    const program = buildProgram(new Runner(SILENT_SHELL), SILENT_SHELL);
    const tree = Object.fromEntries(
      program.commands.map(group => [group.name(), group.commands.map(one => one.name()).sort()]),
    );
    expect(tree).toEqual({
      admin: ["audit", "changes", "epoch-raise"],
      event: ["list", "watch"],
      host: ["disable", "enable", "list", "set", "show"],
      aggregate: ["add", "create", "delete", "list", "remove", "set", "show", "zones"],
      group: ["create", "delete", "list", "show"],
      placement: ["audit", "show"],
      policy: ["show"],
      flavor: ["create", "delete", "list", "set", "show", "unset"],
      server: [
        "adopt",
        "check",
        "confirm",
        "create",
        "delete",
        "events",
        "list",
        "lock",
        "migrate",
        "reset-state",
        "resize",
        "revert",
        "show",
        "start",
        "stop",
        "unlock",
      ],
      migration: ["cancel", "list", "recover", "set", "show", "watch"],
      verify: [],
      pki: ["init", "issue", "show"],
      credential: [],
      completion: [],
    });
  });
});
