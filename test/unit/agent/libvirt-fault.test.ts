import { constants } from "node:os";
import { describe, expect, it } from "vitest";
import { libvirtFault } from "../../../agent/os/libvirt-fault.js";
import * as virt from "../../../native/lib/libvirt-constants.js";
import { LibvirtError, type LibvirtErrorFacts } from "../../../native/lib/libvirt-error.js";
import { Fault } from "../../../proto/fault.js";

const QEMU_DRIVER = 10;

const errorWith = (facts: Partial<LibvirtErrorFacts>, message = "the reason") =>
  new LibvirtError(message, {
    code: virt.VIR_ERR_OPERATION_FAILED,
    domain: QEMU_DRIVER,
    level: 2,
    op: "virDomainCreateWithFlags",
    str1: "",
    str2: "",
    str3: "",
    int1: -1,
    ...facts,
  });

const codeWith = (facts: Partial<LibvirtErrorFacts>, message?: string) =>
  libvirtFault("start it", errorWith(facts, message)).code;

describe("a libvirt error", () => {
  it("becomes a fault that says what was attempted, then why, and keeps the error", () => {
    const error = errorWith({ code: virt.VIR_ERR_NO_DOMAIN }, "Domain not found");
    const fault = libvirtFault("start web-3", error);
    expect(fault).toMatchObject({
      code: "not-found",
      message: "start web-3: Domain not found",
      cause: error,
    });
  });

  it("is refused when the hook said no", () => {
    expect(codeWith({ code: virt.VIR_ERR_HOOK_SCRIPT_FAILED })).toBe("refused");
  });

  it("is unknown when the connection broke, whatever its code", () => {
    const broken = errorWith({ code: virt.VIR_ERR_INTERNAL_ERROR, domain: virt.VIR_FROM_RPC });
    expect(libvirtFault("start it", broken).isUnknown).toBe(true);
    expect(codeWith({ code: virt.VIR_ERR_SYSTEM_ERROR, op: "virConnectOpenAuth" })).toBe("unreachable");
    expect(codeWith({ code: virt.VIR_ERR_OPERATION_TIMEOUT })).toBe("timeout");
  });

  it("is judged by errno where it came from the system", () => {
    const system = (int1: number, op = "virDomainCreateWithFlags") =>
      codeWith({ code: virt.VIR_ERR_SYSTEM_ERROR, int1, op });
    expect(system(constants.errno.ENOSPC)).toBe("out-of-space");
    expect(system(constants.errno.EACCES)).toBe("permission-denied");
    expect(system(constants.errno.EBUSY, "virDomainDestroyFlags")).toBe("timeout");
    expect(system(constants.errno.EIO)).toBe("failed");
  });

  it("is already-exists when a definition's name or uuid is taken", () => {
    const op = "virDomainDefineXMLFlags";
    expect(codeWith({ op }, "operation failed: domain 'a' already exists with uuid b")).toBe(
      "already-exists",
    );
    expect(codeWith({ op }, "something else")).toBe("failed");
  });
});

describe("another error", () => {
  it("keeps its code when it is a fault, and gains the attempt", () => {
    const fault = libvirtFault("stop it", new Fault("timeout", "no answer"));
    expect(fault).toMatchObject({ code: "timeout", message: "stop it: no answer" });
  });

  it("is unreachable when a handle was closed meanwhile", () => {
    const closed = Object.assign(new Error("the connection is closed"), { code: "ERR_HANDLE_CLOSED" });
    expect(libvirtFault("list domains", closed).code).toBe("unreachable");
  });

  it("is a bug otherwise", () => {
    expect(libvirtFault("list domains", new TypeError("oops"))).toMatchObject({ code: "internal" });
  });
});
