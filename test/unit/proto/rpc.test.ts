/** Both ends of a channel over real mTLS on loopback. */

import { once } from "node:events";
import { connect } from "node:tls";
import { Client, credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { issueCertificate } from "../../../cli/pki/authority.js";
import { writeIssued } from "../../../cli/pki/pki-folder.js";
import { Fault } from "../../../proto/fault.js";
import { fromStatus } from "../../../proto/fault-info.js";
import {
  HostServiceService,
  MigrationServiceService,
  WatchMigrationResponse,
} from "../../../proto/gen/ferry/v1/controller.js";
import { Host } from "../../../proto/gen/ferry/v1/model.js";
import { call, createClient, type ExpectedPeer, stream } from "../../../proto/rpc-client.js";
import { type Caller, createServer, implement, type RunningServer } from "../../../proto/rpc-server.js";
import { TlsSource } from "../../../proto/tls-source.js";
import { Certificates } from "./certificates.js";

const nothing = () => Promise.reject(new Fault("unsupported", "not in this test"));

let certificates: Certificates;
let serverTls: TlsSource;
let alice: TlsSource;
let server: RunningServer;
const clients: Client[] = [];
/** The last call that a handler saw. */
let seen: Caller | undefined;
let sent = 0;
let listHosts: (caller: Caller) => Promise<string[]>;

async function* countForever(caller: Caller) {
  for (sent = 0; ; sent++) {
    caller.signal.throwIfAborted();
    yield WatchMigrationResponse.create({ event: String(sent), atMs: 1 });
    await new Promise(resolve => setImmediate(resolve));
  }
}

const services = [
  implement(HostServiceService, {
    listHosts: async (_request, caller) => {
      seen = caller;
      return { hosts: (await listHosts(caller)).map(name => Host.create({ name })) };
    },
    showHost: nothing,
    setHostStatus: nothing,
    forceHostDown: nothing,
  }),
  implement(MigrationServiceService, {
    listMigrations: nothing,
    showMigration: nothing,
    cancelMigration: nothing,
    recoverMigration: nothing,
    setMigration: nothing,
    verifyReceipt: async function* () {},
    watchMigration: async function* ({ id }, caller) {
      seen = caller;
      if (id === "forever") return yield* countForever(caller);
      yield WatchMigrationResponse.create({ event: "first" });
      if (id === "broken")
        throw new Fault("stuck", "step copy-disks needs a person", { fix: "ferry migration recover 7" });
      yield WatchMigrationResponse.create({ event: "second", atMs: id === "unspeakable" ? 0.5 : 1 });
    },
  }),
];

beforeAll(async () => {
  certificates = await Certificates.make();
  serverTls = await certificates.tls({ kind: "controller", name: "ctl" });
  alice = await certificates.tls({ kind: "user", name: "alice", role: "admin" });
  const admit = ({ identity }: Caller) => {
    if (identity.kind === "agent") throw new Fault("permission-denied", "agents may not list hosts");
  };
  server = await createServer({ tls: serverTls, address: "127.0.0.1:0", services, admit });
});

afterEach(() => {
  for (const made of clients.splice(0)) made.close();
});

afterAll(async () => {
  await server.close();
  certificates[Symbol.dispose]();
});

const at = (port: number) => `127.0.0.1:${port}`;
function client(tls = alice, peer: ExpectedPeer = { kind: "controller" }): Client {
  const made = createClient(at(server.port), tls, peer);
  clients.push(made);
  return made;
}
const faultOf = async (promise: Promise<unknown>): Promise<Fault> => {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(thrown instanceof Fault)) throw new Error(`not a fault: ${String(thrown)}`);
  return thrown;
};

describe("a call", () => {
  it("reaches the handler with the caller's identity and comes back", async () => {
    listHosts = async () => ["h1", "h2"];
    const { hosts } = await call(client(), HostServiceService.listHosts, {});
    expect(hosts.map(({ name }) => name)).toEqual(["h1", "h2"]);
    expect(seen?.identity).toEqual({ kind: "user", name: "alice", domain: "ferry", role: "admin" });
    expect(seen?.path).toBe("/ferry.v1.HostService/ListHosts");
  });

  it("throws at the client what the handler threw, with have, need and fix", async () => {
    const detail = { have: "1 GiB", need: "2 GiB", fix: "another host", host: "h2" };
    listHosts = () => Promise.reject(new Fault("no-valid-host", "h2 is too small", detail));
    const fault = await faultOf(call(client(), HostServiceService.listHosts, {}));
    expect(fault).toMatchObject({ code: "no-valid-host", message: "h2 is too small", detail });
  });

  it("tells a defect of the handler from a fault", async () => {
    listHosts = () => Promise.reject(new TypeError("x is undefined"));
    expect(await faultOf(call(client(), HostServiceService.listHosts, {}))).toMatchObject({
      code: "internal",
    });
  });

  it("ends at its deadline as unknown, and the handler hears of it", async () => {
    const aborted = Promise.withResolvers<void>();
    listHosts = async ({ signal }) => {
      await once(signal, "abort");
      aborted.resolve();
      return [];
    };
    const fault = await faultOf(call(client(), HostServiceService.listHosts, {}, { deadlineMs: 300 }));
    expect(fault).toMatchObject({ code: "timeout", isUnknown: true });
    await aborted.promise;
  });

  it("ends when its signal aborts", async () => {
    const abort = new AbortController();
    listHosts = async ({ signal }) => {
      abort.abort();
      await once(signal, "abort");
      return [];
    };
    const options = { signal: abort.signal };
    expect(await faultOf(call(client(), HostServiceService.listHosts, {}, options))).toMatchObject({
      code: "cancelled",
    });
    expect(await faultOf(call(client(), HostServiceService.listHosts, {}, options))).toMatchObject({
      code: "cancelled",
    });
  });

  it("is unknown when the server goes away while it runs", async () => {
    const dying = await createServer({ tls: serverTls, address: "127.0.0.1:0", services });
    listHosts = async ({ signal }) => {
      void dying.close(0);
      await once(signal, "abort");
      return [];
    };
    const made = createClient(at(dying.port), alice, { kind: "controller" });
    clients.push(made);
    expect(await faultOf(call(made, HostServiceService.listHosts, {}))).toMatchObject({ isUnknown: true });
  });

  it("is unknown when nobody listens", async () => {
    const made = createClient("127.0.0.1:1", alice, { kind: "controller" });
    clients.push(made);
    expect(await faultOf(call(made, HostServiceService.listHosts, {}))).toMatchObject({
      code: "unreachable",
    });
  });

  it("is refused before the handler when the server does not admit the caller", async () => {
    seen = undefined;
    const agent = await certificates.tls({ kind: "agent", name: "h1" });
    const fault = await faultOf(call(client(agent), HostServiceService.listHosts, {}));
    expect(fault).toMatchObject({ code: "permission-denied" });
    expect(seen).toBeUndefined();
  });
});

describe("a stream", () => {
  const watch = (id: string, options = {}) =>
    stream(client(), MigrationServiceService.watchMigration, { id, untilEnded: false }, options);

  it("gives every message and ends", async () => {
    const events: string[] = [];
    for await (const { event } of watch("short")) events.push(event);
    expect(events).toEqual(["first", "second"]);
  });

  it("throws the handler's fault after the messages before it", async () => {
    const events: string[] = [];
    const fault = await faultOf(
      (async () => {
        for await (const { event } of watch("broken")) events.push(event);
      })(),
    );
    expect(events).toEqual(["first"]);
    expect(fault).toMatchObject({ code: "stuck", detail: { fix: "ferry migration recover 7" } });
  });

  it("with a message that cannot be encoded is a defect, not a lost connection", async () => {
    const fault = await faultOf(
      (async () => {
        for await (const _ of watch("unspeakable"));
      })(),
    );
    expect(fault).toMatchObject({ code: "internal", isUnknown: false });
  });

  it("stops the handler when the reader leaves the loop", async () => {
    for await (const { event } of watch("forever")) if (event === "3") break;
    await expect.poll(() => seen?.signal.aborted).toBe(true);
  });

  it("does not run ahead of a reader that has stopped reading", async () => {
    const reading = watch("forever")[Symbol.asyncIterator]();
    await reading.next();
    let before = -1;
    const stands = () => {
      const stood = before === sent;
      before = sent;
      return stood;
    };
    await expect.poll(stands, { interval: 300, timeout: 10_000 }).toBe(true);
    await reading.return?.();
  });

  it("ends when its signal aborts", async () => {
    const abort = new AbortController();
    const fault = await faultOf(
      (async () => {
        for await (const { event } of watch("forever", { signal: abort.signal }))
          if (event === "2") abort.abort();
      })(),
    );
    expect(fault).toMatchObject({ code: "cancelled" });
  });
});

describe("mutual authentication", () => {
  const refused = async (tls: TlsSource, peer?: ExpectedPeer) =>
    await faultOf(call(client(tls, peer), HostServiceService.listHosts, {}));

  it("refuses a client without a certificate", async () => {
    const bare = new Client(`localhost:${server.port}`, credentials.createSsl(alice.material.ca));
    clients.push(bare);
    const { listHosts: method } = HostServiceService;
    const failed = new Promise((resolve, reject) => {
      bare.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        {},
        new Metadata(),
        { deadline: Date.now() + 5000 },
        (error, value) => (error === null ? resolve(value) : reject(error)),
      );
    });
    const error = (await failed.catch((thrown: unknown) => thrown)) as ServiceError;
    expect(fromStatus(error, "ListHosts at ctl")).toMatchObject({
      code: "unauthenticated",
      message: "ListHosts at ctl: tlsv13 alert certificate required",
    });
  });

  it("refuses a client of another CA, and says so", async () => {
    using others = await Certificates.make();
    const stranger = await others.files({ kind: "user", name: "mallory", role: "admin" });
    const ours = await certificates.files({ kind: "user", name: "alice", role: "admin" });
    expect(() => new TlsSource({ ...stranger, ca: ours.ca })).toThrow("not issued by the CA");
    const fault = await refused(new TlsSource(stranger));
    expect(fault.code).toBe("unauthenticated");
  });

  it("refuses a client of the same CA with another domain", async () => {
    const foreign = await certificates.files({ kind: "user", name: "zoe", role: "admin" });
    const identity = { kind: "user", name: "zoe", role: "admin", domain: "elsewhere" } as const;
    const pair = await issueCertificate(certificates.authority, { identity, addresses: [], days: 1 });
    writeIssued(`${certificates.folder}/zoe`, "user", pair, certificates.authority.certPem, true);
    const tls = new TlsSource(foreign);
    const made = new Client(
      `localhost:${server.port}`,
      tls.channelCredentials({ checkServerIdentity: () => undefined }),
    );
    clients.push(made);
    const fault = await faultOf(call(made, HostServiceService.listHosts, {}));
    expect(fault).toMatchObject({ code: "unauthenticated" });
    expect(fault.message).toContain("domain elsewhere");
  });

  it("lets the client refuse a server that is not the one it wants", async () => {
    expect((await refused(alice, { kind: "agent", name: "h1" })).message).toContain(
      "controller/ctl, not agent/h1",
    );
    expect((await refused(alice, { kind: "controller", name: "ctl2" })).code).toBe("unauthenticated");
  });

  it("does not speak TLS 1.1", async () => {
    const { ca, cert, key } = alice.material;
    const old = connect({
      port: server.port,
      host: "127.0.0.1",
      ca,
      cert,
      key,
      minVersion: "TLSv1",
      maxVersion: "TLSv1.1",
      ciphers: "ALL:@SECLEVEL=0",
      ALPNProtocols: ["h2"],
    });
    const [error] = (await once(old, "error")) as [Error];
    expect(error.message).toMatch(/version|protocol/i);
  });
});
