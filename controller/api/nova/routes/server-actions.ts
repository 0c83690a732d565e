/**
 * POST /servers/{id}/action: one name, one schema per microversion, one call. What Nova validates is validated as Nova
 * does it, and what it lets pass passes.
 */

import { Fault } from "../../../../proto/fault.js";
import { FlavorServiceService, ServerServiceService } from "../../../../proto/gen/ferry/v1/controller.js";
import type { Migration } from "../../../../proto/gen/ferry/v1/model.js";
import type { Microversion } from "../microversion.js";
import { NovaError } from "../nova-error.js";
import { booleanSchema, isTrue, optionalBooleanSchema } from "../python-boolean.js";
import { ACCEPTED, type Answer, bodyOf, malformed, NO_CONTENT, type NovaRequest } from "../route.js";
import { requireValid, type Schema } from "../schema.js";
import { serverById } from "../server-by-id.js";

interface Action {
  readonly schema?: (version: Microversion) => Schema | undefined;
  /** `argument` is what stood beside the action's name. */
  readonly act: (request: NovaRequest, server: string, argument: Record<string, unknown>) => Promise<Answer>;
}

export async function actOnServer(request: NovaRequest): Promise<Answer> {
  const body = bodyOf(request);
  const [name] = Object.keys(body);
  if (name === undefined) throw malformed();
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action === undefined) throw unknownAction(name);
  const schema = action.schema?.(request.version);
  if (schema !== undefined) requireValid(schema, body);
  const { id } = await serverById(request);
  const argument = body[name];
  const isObject = typeof argument === "object" && argument !== null && !Array.isArray(argument);
  return action.act(request, id, isObject ? (argument as Record<string, unknown>) : {});
}

const only = (name: string, schema: Schema): Schema => ({
  type: "object",
  properties: { [name]: schema },
  required: [name],
  additionalProperties: false,
});

const HOST: Schema = { type: ["string", "null"], minLength: 1, maxLength: 255, pattern: "^[a-zA-Z0-9-._]*$" };

/** `force` is Ferry's: the specification of targeted cold migration has it, released Nova does not. */
const MIGRATE = only("migrate", {
  type: ["object", "null"],
  properties: { host: HOST, force: optionalBooleanSchema },
  additionalProperties: false,
});

const RESIZE = only("resize", {
  type: "object",
  properties: {
    flavorRef: { type: ["string", "integer"], minLength: 1 },
    "OS-DCF:diskConfig": { type: "string", enum: ["AUTO", "MANUAL"] },
  },
  required: ["flavorRef"],
  additionalProperties: false,
});

const RESET_STATE = only("os-resetState", {
  type: "object",
  properties: { state: { type: "string", enum: ["active", "error"] } },
  required: ["state"],
  additionalProperties: false,
});

const LOCK_WITH_REASON = only("lock", {
  type: ["object", "null"],
  properties: { locked_reason: { type: "string", minLength: 1, maxLength: 255 } },
  additionalProperties: false,
});

const MOVE_DEFAULTS = {
  dryRun: false,
  shutdownTimeoutSeconds: 0,
  gracefulOnly: false,
  readOnlyDrives: "",
  networkMap: {},
};

/** Nova answers these without a body; its clients leave alone a header that they do not know. */
const named = (answer: Answer, { migration }: { readonly migration?: Migration | undefined }): Answer =>
  migration === undefined ? answer : { ...answer, headers: { [MIGRATION_HEADER]: migration.id } };

const MIGRATION_HEADER = "x-ferry-migration-id";

const ACTIONS: Readonly<Record<string, Action>> = {
  migrate: {
    schema: version => (version >= 56 ? MIGRATE : undefined),
    act: async ({ call, version }, server, { host, force }) => {
      // Before 2.56 whatever stands there means nothing.
      const target = version >= 56 && typeof host === "string" ? host : "";
      const request = { server, host: target, force: version >= 56 && isTrue(force), ...MOVE_DEFAULTS };
      return named(ACCEPTED, await call(ServerServiceService.migrateServer, request).catch(notFoundIsBad));
    },
  },
  resize: {
    schema: () => RESIZE,
    act: async ({ call }, server, { flavorRef }) => {
      const id = String(flavorRef);
      const { flavor } = await call(FlavorServiceService.showFlavor, { flavor: id }).catch(notFoundIsBad);
      if (flavor?.id !== id) throw new NovaError(400, `Flavor ${id} could not be found.`);
      const request = { server, flavor: id, ...MOVE_DEFAULTS };
      return named(ACCEPTED, await call(ServerServiceService.resizeServer, request).catch(notFoundIsBad));
    },
  },
  confirmResize: {
    act: async ({ call }, server) => {
      return named(NO_CONTENT, await call(ServerServiceService.confirmServer, { server, migration: "" }));
    },
  },
  revertResize: {
    act: async ({ call }, server) => {
      // Nova asks nobody about the writes that are lost, and so its clients cannot answer.
      const request = { server, discardWrites: true, migration: "" };
      return named(ACCEPTED, await call(ServerServiceService.revertServer, request));
    },
  },
  "os-start": {
    act: async ({ call }, server) => {
      await call(ServerServiceService.startServer, { server, noWait: true });
      return ACCEPTED;
    },
  },
  "os-stop": {
    act: async ({ call }, server) => {
      await call(ServerServiceService.stopServer, { server, timeoutSeconds: 0, noWait: true });
      return ACCEPTED;
    },
  },
  "os-resetState": {
    schema: () => RESET_STATE,
    act: async ({ call }, server, { state }) => {
      await call(ServerServiceService.resetServerState, { server, state: String(state) });
      return ACCEPTED;
    },
  },
  lock: {
    schema: version => (version >= 73 ? LOCK_WITH_REASON : undefined),
    act: async ({ call, version }, server, { locked_reason }) => {
      const reason = version >= 73 && typeof locked_reason === "string" ? locked_reason : "";
      await call(ServerServiceService.lockServer, { server, reason });
      return ACCEPTED;
    },
  },
  unlock: {
    act: async ({ call }, server) => {
      await call(ServerServiceService.unlockServer, { server });
      return ACCEPTED;
    },
  },
  "os-migrateLive": { schema: liveSchema, act: notSupported },
};

/** Nova has them; Ferry moves servers and leaves the rest of their life to others. */
const NOT_OURS = new Set([
  "addFixedIp",
  "addFloatingIp",
  "addSecurityGroup",
  "changePassword",
  "createBackup",
  "createImage",
  "evacuate",
  "forceDelete",
  "injectNetworkInfo",
  "os-getConsoleOutput",
  "os-getSerialConsole",
  "os-getSPICEConsole",
  "os-getVNCConsole",
  "os-resetNetwork",
  "pause",
  "reboot",
  "rebuild",
  "removeFixedIp",
  "removeFloatingIp",
  "removeSecurityGroup",
  "rescue",
  "restore",
  "resume",
  "shelve",
  "shelveOffload",
  "suspend",
  "trigger_crash_dump",
  "unpause",
  "unrescue",
  "unshelve",
]);

const unknownAction = (name: string): NovaError =>
  NOT_OURS.has(name) ? unsupported() : new NovaError(400, `There is no such action: ${name}`);

const unsupported = (): NovaError => new NovaError(501, "The requested functionality is not supported.");

async function notSupported(): Promise<never> {
  throw unsupported();
}

function liveSchema(version: Microversion): Schema {
  const block: Schema = version >= 25 ? { enum: ["auto", ...(booleanSchema.enum ?? [])] } : booleanSchema;
  const overCommit: Record<string, Schema> = version >= 25 ? {} : { disk_over_commit: booleanSchema };
  const force: Record<string, Schema> = version >= 30 && version < 68 ? { force: booleanSchema } : {};
  return only("os-migrateLive", {
    type: "object",
    properties: { host: HOST, block_migration: block, ...overCommit, ...force },
    required: ["block_migration", "host", ...Object.keys(overCommit)],
    additionalProperties: false,
  });
}

/** The server is there; what is missing is what the body names, and so the body is at fault. */
function notFoundIsBad(error: unknown): never {
  if (error instanceof Fault && error.code === "not-found") throw new NovaError(400, error.message);
  throw error;
}
