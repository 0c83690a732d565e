/** The hook as libvirt calls it: arguments, XML on stdin, exit code and stderr, under dash. */

import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { auditHook } from "../../agent/fence/hook-audit.js";
import { hookPath, hookText, installHook } from "../../agent/fence/install-hook.js";

const UUID = "11111111-2222-4333-8444-555555555555";
const INCARNATION = `${UUID}/home/source/1`;
const OTHER = `${UUID}/m1/target/2`;

let root: string;
let hook: string;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "ferry-hook-"));
  mkdirSync(join(root, "state", "guests"), { recursive: true });
  mkdirSync(join(root, "run", "starting"), { recursive: true });
  hook = join(root, "50-ferry");
  writeFileSync(hook, await hookText({ stateDir: join(root, "state"), runDir: join(root, "run") }));
});
afterEach(() => rmSync(root, { recursive: true }));

const MARK = (incarnation: string): string =>
  `<metadata>\n    <ferry:ferry xmlns:ferry="https://ferry.dev/xmlns/domain/1">\n      <ferry:incarnation id="${incarnation}"/>\n    </ferry:ferry>\n  </metadata>`;

const xmlOf = (metadata: string, rest = ""): string =>
  `<domain type='qemu' id='1'>\n  <name>web-3</name>\n  <uuid>${UUID}</uuid>\n  ${metadata}\n${rest}</domain>\n`;

const setState = (text: string): void => writeFileSync(join(root, "state", "guests", UUID), text);
const setToken = (text: string): void => writeFileSync(join(root, "run", "starting", UUID), text);
const ran = (): string | undefined => {
  const path = join(root, "state", "ran", UUID);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
};

interface Answer {
  readonly exit: number | null;
  readonly sentence: string;
}

function call(operation: string, xml = xmlOf(MARK(INCARNATION))): Answer {
  const { status, stderr, stdout } = spawnSync("dash", [hook, "web-3", operation, "begin", "-"], {
    input: xml,
    encoding: "utf8",
    env: {},
  });
  expect(stdout, "stdout of migrate and restore would replace the XML").toBe("");
  if (status !== 0) expect(stderr.trimEnd(), "one sentence").toMatch(/^ferry: refused to \w+ web-3: [^\n]+$/);
  return { exit: status, sentence: stderr };
}

const refusals = ["prepare", "restore", "migrate"];

describe("an unmanaged guest", () => {
  it.each([...refusals, "start", "started", "stopped", "release", "reconnect", "attach"])(
    "passes %s",
    operation => {
      expect(call(operation, xmlOf("")).exit).toBe(0);
      expect(ran()).toBeUndefined();
    },
  );

  it("is not managed because its text speaks of Ferry", () => {
    const text = "<description>xmlns:ferry=&quot;https://ferry.dev/xmlns/domain/1&quot;</description>";
    expect(call("prepare", xmlOf(text)).exit).toBe(0);
  });

  it("passes while Ferry's state is not mounted", () => {
    rmSync(join(root, "state"), { recursive: true });
    expect(call("prepare", xmlOf("")).exit).toBe(0);
  });
});

describe("a managed guest", () => {
  it.each(["start", "started", "stopped", "release", "reconnect"])(
    "is never refused %s, whatever is wrong",
    operation => {
      setState("deny it moved\n");
      expect(call(operation).exit).toBe(0);
      setState("garbage");
      expect(call(operation).exit).toBe(0);
      rmSync(join(root, "state"), { recursive: true });
      expect(call(operation, "").exit).toBe(0);
    },
  );

  it.each(refusals)("that is denied is refused %s with the reason", operation => {
    setState("deny migration m1 holds it back\n");
    expect(call(operation)).toEqual({
      exit: 1,
      sentence: `ferry: refused to ${operation} web-3: migration m1 holds it back\n`,
    });
  });

  it("is denied although its mark was removed", () => {
    setState("deny it moved\n");
    expect(call("prepare", xmlOf("")).sentence).toContain("it moved");
  });

  it.each(refusals)("without state is refused %s and told what to do", operation => {
    expect(call(operation)).toMatchObject({
      exit: 1,
      sentence: expect.stringMatching(/missing; start ferry-agent/),
    });
  });

  it("without its whole state directory is refused", () => {
    rmSync(join(root, "state"), { recursive: true });
    expect(call("prepare").exit).toBe(1);
  });

  it.each([
    ["empty", ""],
    ["torn", `allow ${INCARNATION}`],
    ["of another format", "yes\n"],
    ["an allowance for nobody", "allow\n"],
    ["binary", "\u0001\u0000\u0002\n"],
  ])("whose state is %s is refused", (_name, text) => {
    setState(text);
    expect(call("prepare").exit).toBe(1);
    expect(call("prepare", xmlOf("")).exit).toBe(1);
  });

  it.each(["directory", "dangling link"])("whose state is a %s is refused", kind => {
    const path = join(root, "state", "guests", UUID);
    if (kind === "directory") mkdirSync(path);
    else symlinkSync("/nowhere", path);
    expect(call("prepare", xmlOf("")).sentence).toMatch(/cannot be read/);
  });

  it.each([
    ["another incarnation", MARK(OTHER)],
    ["none", ""],
    [
      "two",
      MARK(INCARNATION).replace("</ferry:ferry>", `<ferry:incarnation id="${INCARNATION}"/></ferry:ferry>`),
    ],
    ["one that only begins alike", MARK(`${INCARNATION}0`)],
  ])("defined as %s is refused", (_name, metadata) => {
    setState(`allow ${INCARNATION}\n`);
    expect(call("prepare", xmlOf(metadata))).toMatchObject({
      exit: 1,
      sentence: expect.stringMatching(/may run only/),
    });
  });

  it.each([
    ["double quotes", MARK(INCARNATION)],
    ["single quotes", MARK(INCARNATION).replaceAll('"', "'")],
    ["one line", MARK(INCARNATION).replaceAll(/\n\s*/g, "")],
    ["an attribute a line", MARK(INCARNATION).replace(" id=", '\n  other="x"\n  id=')],
    ["no prefix on the inner element", MARK(INCARNATION).replace("<ferry:incarnation", "<incarnation")],
  ])("is recognised with %s", (_name, metadata) => {
    setState(`allow ${INCARNATION}\n`);
    expect(call("prepare", xmlOf(metadata)).exit).toBe(0);
    rmSync(join(root, "state", "guests", UUID));
    expect(call("prepare", xmlOf(metadata)).exit).toBe(1);
  });

  it("is refused when its XML does not come", () => {
    expect(call("prepare", "")).toMatchObject({ exit: 1, sentence: expect.stringMatching(/no uuid/) });
  });

  it("is answered within a second with a very long definition", () => {
    setState(`allow ${INCARNATION}\n`);
    const rest = `    <hostdev mode='subsystem'><uuid>x</uuid></hostdev>\n`.repeat(20_000);
    const elapsedMs = () => {
      const begin = performance.now();
      expect(call("prepare", xmlOf(MARK(INCARNATION), rest)).exit).toBe(0);
      return performance.now() - begin;
    };
    // A hook that is slow is slow each time; a machine that has other things to do is not.
    expect(Math.min(elapsedMs(), elapsedMs(), elapsedMs())).toBeLessThan(1_000);
  });
});

describe("a start that is allowed", () => {
  beforeEach(() => setState(`allow ${INCARNATION}\n`));

  it("by somebody else is recorded, and the first time counts", () => {
    expect(call("prepare").exit).toBe(0);
    const first = ran();
    expect(first).toMatch(new RegExp(`^${INCARNATION} \\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ\n$`));
    writeFileSync(join(root, "state", "ran", UUID), `${INCARNATION} 2020-01-01T00:00:00Z\n`);
    expect(call("prepare").exit).toBe(0);
    expect(ran()).toContain("2020");
  });

  it("is on the medium before it is let through: folder, content and name, and the name again at a second one", () => {
    const state = join(root, "state");
    const log = join(root, "flushed");
    mkdirSync(join(root, "bin"));
    // In place of `sync`: what it was asked for, and what was in the folder of the marks then.
    const flush = `#!/bin/sh\nprintf '%s: %s\\n' "\${1#${root}/}" "$(ls -A '${state}/ran')" >>'${log}'\n`;
    writeFileSync(join(root, "bin", "sync"), flush, { mode: 0o755 });
    writeFileSync(hook, readFileSync(hook, "utf8").replace("PATH=", `PATH=${join(root, "bin")}:`));
    expect([call("prepare").exit, call("prepare").exit]).toEqual([0, 0]);
    expect(readFileSync(log, "utf8").trimEnd().split("\n")).toEqual([
      "state: ",
      `state/ran/.${UUID}: .${UUID}`,
      `state/ran: ${UUID}`,
      `state/ran: ${UUID}`,
    ]);
  });

  it("of a new incarnation replaces the mark of an older one", () => {
    mkdirSync(join(root, "state", "ran"));
    writeFileSync(join(root, "state", "ran", UUID), `${OTHER} 2020-01-01T00:00:00Z\n`);
    expect(call("prepare").exit).toBe(0);
    expect(ran()).toContain(INCARNATION);
  });

  it("is refused when it cannot be recorded", () => {
    writeFileSync(join(root, "state", "ran"), "a file where the folder should be");
    expect(call("prepare")).toMatchObject({
      exit: 1,
      sentence: expect.stringMatching(/could not be recorded/),
    });
  });

  it("by the agent is not recorded, and its token is good for one start", () => {
    setToken(`${INCARNATION}\n`);
    expect(call("prepare").exit).toBe(0);
    expect(ran()).toBeUndefined();
    expect(call("prepare").exit).toBe(0);
    expect(ran()).toBeDefined();
  });

  it("with a token for another incarnation is somebody else's", () => {
    setToken(`${OTHER}\n`);
    expect(call("prepare").exit).toBe(0);
    expect(ran()).toBeDefined();
  });

  it("comes from a save image like any other", () => {
    expect(call("restore").exit).toBe(0);
    expect(ran(), "libvirt calls prepare after restore").toBeUndefined();
  });

  it("comes over a live migration only when the agent expects it", () => {
    expect(call("migrate")).toMatchObject({ exit: 1, sentence: expect.stringMatching(/only Ferry moves/) });
    setToken(`${INCARNATION}\n`);
    expect(call("migrate").exit).toBe(0);
    expect(call("prepare").exit).toBe(0);
    expect(ran()).toBeUndefined();
  });
});

describe("the installed hook", () => {
  const place = () => ({ hookDir: join(root, "hooks", "qemu.d"), stateDir: "/var/lib/x", runDir: "/run/x" });
  const prove = async () => ({ proven: true as const, at: 1 });

  it("is whole, executable and the shipped one; a second install changes nothing", async () => {
    expect(await installHook(place(), prove)).toEqual({ changed: true, proven: true, at: 1 });
    const text = readFileSync(hookPath(place().hookDir), "utf8");
    expect(text).toContain("\nSTATE_DIR=/var/lib/x\nRUN_DIR=/run/x\n");
    expect(await installHook(place(), prove)).toMatchObject({ changed: false });
  });

  it("says what to do when the daemon does not call it", async () => {
    const problem = "restart libvirtd: hook not loaded";
    expect(await installHook(place(), async () => ({ proven: false, problem }))).toMatchObject({ problem });
  });

  it.each([
    ["made not executable", (path: string) => chmodSync(path, 0o644), /mode 644/],
    ["made writable for all", (path: string) => chmodSync(path, 0o777), /mode 777/],
    ["changed", (path: string) => writeFileSync(path, "#!/bin/sh\nexit 0\n"), /SHA-256/],
    ["gone", (path: string) => rmSync(path), /ENOENT/],
    [
      "replaced by a link",
      (path: string) => {
        rmSync(path);
        symlinkSync("/bin/true", path);
      },
      /ELOOP/,
    ],
  ])("that was %s is found by the audit and put right by an install", async (_name, change, problem) => {
    await installHook(place(), prove);
    const subject = { path: hookPath(place().hookDir), expectedText: await hookText(place()) };
    change(subject.path);
    expect(await auditHook(subject)).toMatchObject({
      intact: false,
      problem: expect.stringMatching(problem),
    });
    expect(await installHook(place(), prove)).toMatchObject({ changed: true });
    expect(await auditHook(subject)).toEqual({ intact: true });
  });

  it("takes no path that a shell could read as more", async () => {
    await expect(hookText({ stateDir: "/x;reboot", runDir: "/run/x" })).rejects.toThrow(
      /plain absolute path/,
    );
  });
});

describe("a host in quarantine", () => {
  const quarantine = (text: string) => writeFileSync(join(root, "state", "quarantine"), text);
  beforeEach(() => setState(`allow ${INCARNATION}\n`));

  it.each(refusals)("refuses %s of a managed guest that it could run otherwise, and says why", operation => {
    quarantine("h1 was declared dead\n");
    expect(call(operation).exit).toBe(1);
    expect(call(operation).sentence).toContain("this host is in quarantine: h1 was declared dead");
    expect(ran()).toBeUndefined();
  });

  it("lets pass what the controller has asked for, and guests of others", () => {
    quarantine("h1 was declared dead\n");
    setToken(`${INCARNATION}\n`);
    expect(call("prepare").exit).toBe(0);
    expect(call("prepare").exit).toBe(1);
    const stranger = xmlOf("").replace(UUID, UUID.replaceAll("1", "9"));
    expect(call("prepare", stranger).exit).toBe(0);
    expect(call("reconnect").exit).toBe(0);
  });

  it("is in quarantine also when the reason cannot be read", () => {
    symlinkSync("/nowhere", join(root, "state", "quarantine"));
    expect(call("prepare").sentence).toContain("in quarantine: its reason cannot be read");
  });
});
