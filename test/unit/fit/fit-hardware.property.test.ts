/** NUMA and device fit against a search that tries everything, on small random hosts. */

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitHardware, fitsHardware } from "../../../proto/fit/fit-hardware.js";
import type { GuestHardware } from "../../../proto/fit/guest-hardware.js";
import { whyNotFit } from "../../../proto/fit/why-not-fit.js";
import { FreeHardware } from "../../../proto/gen/ferry/v1/host.js";
import { brokenRule, fitsByTrying } from "./oracle.js";

const RUNS = Number(process.env.FERRY_FIT_RUNS ?? 1500);
const GIB = 1024 ** 2;

const core = fc.record({
  threads: fc.constantFrom(1, 2, 2, 4),
  free: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
});

const hostCell = fc.record({
  cores: fc.array(core, { maxLength: 3 }),
  memory: fc.option(fc.integer({ min: 0, max: 4 }), { nil: undefined, freq: 12 }),
  booked: fc.integer({ min: 0, max: 2 }),
  huge: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 8 }),
  middle: fc.integer({ min: 0, max: 4 }),
  shared: fc.integer({ min: 0, max: 3 }),
  sharedBooked: fc.constantFrom(0, 0, 0, 1, 3),
  socket: fc.integer({ min: 0, max: 1 }),
});

const hostDevice = fc.record({
  aliases: fc.dictionary(
    fc.constantFrom("gpu", "nic"),
    fc.constantFrom("required", "preferred", "legacy", "socket"),
  ),
  cell: fc.option(fc.integer({ min: 0, max: 2 }), { nil: undefined }),
  physical: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 3 }),
  companion: fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined, freq: 3 }),
});

const host = fc
  .record({
    cells: fc.array(hostCell, { minLength: 1, maxLength: 3 }),
    devices: fc.array(hostDevice, { maxLength: 4 }),
    cpuRatio: fc.constantFrom(1, 2),
    ramRatio: fc.constantFrom(1, 1.5),
  })
  .map(({ cells, devices, cpuRatio, ramRatio }) => {
    let cpu = 0;
    const addressOf = (index: number) => `0000:0${index}:00.0`;
    return FreeHardware.fromPartial({
      cpuAllocationRatio: cpuRatio,
      ramAllocationRatio: ramRatio,
      cells: cells.map((cell, id) => ({
        id,
        ...(cell.memory === undefined ? {} : { memoryKib: cell.memory * GIB }),
        bookedKib: cell.booked * GIB,
        pages: [
          { sizeKib: 2048, free: cell.middle * 512 },
          { sizeKib: GIB, ...(cell.huge === undefined ? {} : { free: cell.huge }) },
        ],
        sharedCpus: Array.from({ length: cell.shared }, (_, index) => 1000 + id * 10 + index),
        sharedBooked: cell.sharedBooked,
        cores: cell.cores.flatMap(({ threads, free }) => {
          const cpus = Array.from({ length: threads }, () => cpu++).filter((_, index) => free[index]);
          return cpus.length > 0 ? [{ cpus, threads }] : [];
        }),
        distances: cells.map((_, other) => ({ cell: other, distance: 10 + Math.abs(id - other) * 10 })),
        socketIds: [cell.socket],
      })),
      devices: devices.map((device, index) => ({
        address: addressOf(index),
        aliases: device.aliases,
        ...(device.cell === undefined ? {} : { numaCell: device.cell }),
        socketIds: cells[device.cell ?? -1] === undefined ? [] : [cells[device.cell ?? -1]?.socket ?? 0],
        physicalFunction:
          device.physical === undefined || device.physical === index ? "" : addressOf(device.physical),
        companions:
          device.companion === undefined || device.companion === index ? [] : [addressOf(device.companion)],
      })),
    });
  });

const guest: fc.Arbitrary<GuestHardware> = fc
  .record({
    cells: fc.array(
      fc.record({
        dedicated: fc.constantFrom(0, 0, 1, 2, 3, 4),
        floating: fc.constantFrom(0, 1, 2, 2),
        memory: fc.constantFrom(GIB / 2, GIB, 2 * GIB, 2 * GIB + 1024),
      }),
      { maxLength: 3 },
    ),
    threadPolicy: fc.constantFrom("prefer", "isolate", "require"),
    emulatorThreads: fc.constantFrom("float", "isolate", "share"),
    pageSize: fc.constantFrom(undefined, "small", "large", "any", 2048, GIB),
    devices: fc.array(
      fc.record({
        alias: fc.constantFrom("gpu", "nic"),
        policy: fc.constantFrom(undefined, undefined, "required", "preferred", "legacy", "socket"),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ cells, ...rest }) => {
    let next = 0;
    return {
      ...rest,
      cells: cells.map(({ dedicated, floating, memory }) => {
        const vcpus = Array.from({ length: Math.max(1, dedicated + floating) }, () => next++);
        return { vcpus, dedicated: vcpus.slice(0, dedicated), memoryKib: memory };
      }),
    } as GuestHardware;
  });

describe("fitting a guest to hardware", () => {
  it("finds a placement exactly when there is one, and it keeps every rule", () => {
    let placed = 0;
    fc.assert(
      fc.property(host, guest, (free, asked) => {
        const placement = fitHardware(free, asked);
        expect(placement !== undefined).toBe(fitsByTrying(free, asked));
        expect(fitsHardware(free, asked)).toBe(placement !== undefined);
        expect(whyNotFit(free, asked).length === 0).toBe(placement !== undefined);
        if (placement === undefined) return;
        placed += 1;
        expect(brokenRule(free, asked, placement)).toBeUndefined();
        expect(fitHardware(free, asked)).toEqual(placement);
      }),
      { numRuns: RUNS },
    );
    // A search that never found anything would have proved nothing.
    expect(placed).toBeGreaterThan(RUNS / 20);
  });
});
