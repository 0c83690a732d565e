import { describe, expect, it } from "vitest";
import { readSystemOnce, type SystemSource } from "../../../agent/probe/system.js";

/** What the library answers in a container without firmware tables, as recorded, with one real disk. */
const asked: string[] = [];
const answer = (question: string, value: unknown) => async () => {
  asked.push(question);
  return value;
};
const source = {
  system: answer("system", { manufacturer: "", model: "Docker Container", serial: "-" }),
  baseboard: answer("baseboard", { manufacturer: "Supermicro", model: "To be filled by O.E.M." }),
  bios: answer("bios", { vendor: "American Megatrends Inc.", version: "3.2", releaseDate: null }),
  osInfo: answer("osInfo", { distro: "Debian GNU/Linux", release: "12", codename: "bookworm" }),
  blockDevices: answer("blockDevices", [
    {
      name: "nvme0n1",
      type: "disk",
      size: 1_000_204_886_016,
      model: "SAMSUNG ",
      serial: "0",
      protocol: "nvme",
    },
    { name: "zram0", type: "disk", size: 0, model: "", mount: "", fsType: "" },
    { type: "disk", size: 512 },
  ]),
} as unknown as SystemSource;

describe("the description of the system", () => {
  it("keeps what is known and leaves out what the library or the vendor made up", async () => {
    const { system, problems } = await readSystemOnce(source)();
    expect(problems).toEqual([]);
    expect(system).toMatchObject({
      manufacturer: undefined,
      product: undefined,
      serial: undefined,
      boardManufacturer: "Supermicro",
      boardModel: undefined,
      biosVendor: "American Megatrends Inc.",
      biosVersion: "3.2",
      biosDate: undefined,
      osName: "Debian GNU/Linux",
    });
    expect(system?.blockDevices).toMatchObject([
      {
        name: "nvme0n1",
        sizeBytes: 1_000_204_886_016,
        model: "SAMSUNG",
        serial: undefined,
        transport: "nvme",
      },
      { name: "zram0", sizeBytes: undefined, model: undefined },
    ]);
  });

  it("is gathered once, however often and at once it is asked for", async () => {
    asked.length = 0;
    const read = readSystemOnce(source);
    const [first, second] = await Promise.all([read(), read()]);
    expect(second).toBe(first);
    expect(await read()).toBe(first);
    expect(asked).toEqual(["system", "baseboard", "bios", "osInfo", "blockDevices"]);
  });

  it("has a gap that is named when a part of it fails", async () => {
    const failing = { ...source, bios: () => Promise.reject(new Error("dmidecode: not permitted")) };
    const { system, problems } = await readSystemOnce(failing)();
    expect(problems).toEqual(["systeminformation bios: dmidecode: not permitted"]);
    expect(system).toMatchObject({ biosVendor: undefined, osRelease: "12" });
  });
});
