/** What a client sends to log in, read with patience for the several ways in which clients say the same. */

import { z } from "zod";
import { IdentityError } from "./identity-error.js";

export interface AuthRequest {
  readonly method: "password" | "token";
  readonly user: string;
  readonly password: string;
  readonly token: string;
  /** Empty: none was named. */
  readonly project: string;
  readonly isUnscoped: boolean;
}

const text = z.string().max(4096);
/** A name is its own id, so either will do. */
const named = z.object({ id: text.optional(), name: text.optional() });

const schema = z.object({
  auth: z.object({
    identity: z.object({
      methods: z.array(text).min(1).max(4),
      password: z.object({ user: named.extend({ password: text }) }).optional(),
      token: z.object({ id: text }).optional(),
    }),
    scope: z.union([z.object({ project: named.optional() }), z.literal("unscoped")]).optional(),
  }),
});

export function readAuthRequest(body: unknown): AuthRequest {
  const checked = schema.safeParse(body);
  if (!checked.success) throw malformed(checked.error.issues[0]);
  const { identity, scope } = checked.data.auth;
  const { password, token } = identity;
  const project = typeof scope === "object" ? nameOf(scope.project) : "";
  const common = { project, isUnscoped: scope === "unscoped" };
  if (identity.methods.includes("password") && password !== undefined) {
    const { user } = password;
    return { ...common, method: "password", user: nameOf(user), password: user.password, token: "" };
  }
  if (identity.methods.includes("token") && token !== undefined)
    return { ...common, method: "token", user: "", password: "", token: token.id };
  throw new IdentityError(401, "Attempted to authenticate with an unsupported method.");
}

const nameOf = (thing: { id?: string | undefined; name?: string | undefined } | undefined): string =>
  thing?.name ?? thing?.id ?? "";

function malformed(issue: z.core.$ZodIssue | undefined): IdentityError {
  const where = issue?.path.join(".") ?? "auth";
  return new IdentityError(
    400,
    `Expecting to find ${where || "auth"} in request body: ${issue?.message ?? "invalid"}`,
  );
}
