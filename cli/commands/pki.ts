/** `ferry pki`: a CA and certificates for those who have none. Works on files only; talks to nobody. */

import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { Fault } from "../../proto/fault.js";
import {
  IDENTITY_KINDS,
  type Identity,
  type IdentityKind,
  identityLabel,
  isIdentityName,
  parseIdentity,
  ROLES,
  type Role,
} from "../../proto/identity.js";
import { splitCertificates } from "../../proto/tls-files.js";
import { collect, positiveInteger } from "../arguments.js";
import type { Output } from "../output/output.js";
import type { Field } from "../output/table.js";
import { formatTime } from "../output/units.js";
import { readAuthority, writeAuthority, writeIssued } from "../pki/pki-folder.js";
import type { Runner } from "../runner.js";

/** Loaded when it is used: it is larger than the rest of this program. */
const x509 = () => import("../pki/authority.js");

export function addPkiCommands(program: Command, runner: Runner): void {
  const pki = program
    .command("pki")
    .description("make a CA, and certificates for agents, controllers and users");
  addInit(pki, runner);
  addIssue(pki, runner);
  addShow(pki, runner);
}

interface InitOptions {
  readonly dir: string;
  readonly domain: string;
  readonly force?: boolean;
}

function addInit(pki: Command, runner: Runner): void {
  pki
    .command("init")
    .description("make a certificate authority in a folder")
    .requiredOption("--dir <folder>", "folder for ca.crt and ca.key; keep it off the hosts")
    .option("--domain <name>", "domain of every identity of this fleet", "ferry")
    .option("--force", "replace the CA that is there: every certificate of it becomes worthless")
    .addHelpText("after", "\nExample:\n  ferry pki init --dir /root/ferry-ca --domain example.org\n")
    .action(
      runner.offline(async (output: Output, { dir, domain, force = false }: InitOptions) => {
        const { createAuthority } = await x509();
        const pair = await createAuthority(domain);
        const { cert, key } = writeAuthority(dir, pair, force);
        output.record({ domain, certificate: cert, key }, [
          ["domain", domain],
          ["certificate", cert],
          ["key", `${key} (whoever has it can speak for every host)`],
        ]);
      }),
    );
}

interface IssueOptions {
  readonly dir: string;
  readonly out: string;
  readonly role?: Role;
  readonly address?: readonly string[];
  readonly days: number;
  readonly force?: boolean;
}

const ISSUE_EXAMPLES = `
Writes FOLDER/ca.crt, FOLDER/KIND.crt and FOLDER/KIND.key (readable by the owner only).

Examples:
  ferry pki issue agent h1 --address h1.example.org --address 10.0.0.11 --dir /root/ferry-ca --out ./h1
  ferry pki issue controller ctl --address ctl.example.org --dir /root/ferry-ca --out ./ctl
  ferry pki issue user alice --role admin --dir /root/ferry-ca --out ~/.config/ferry
`;

function addIssue(pki: Command, runner: Runner): void {
  pki
    .command("issue")
    .description("issue a certificate and its key")
    .argument("<kind>", `one of ${IDENTITY_KINDS.join(", ")}`)
    .argument("<name>", "host, controller or user name")
    .requiredOption("--dir <folder>", "folder of the CA")
    .requiredOption("--out <folder>", "folder to write to")
    .addOption(new Option("--role <role>", "role of a user (default: member)").choices([...ROLES]))
    .option(
      "--address <address>",
      "DNS name or IP address under which it is reached; may be repeated",
      collect,
    )
    .option("--days <days>", "how long it is valid", positiveInteger, 397)
    .option("--force", "replace files that are there")
    .addHelpText("after", ISSUE_EXAMPLES)
    .action(
      runner.offline(async (output: Output, options: IssueOptions, kind: string, name: string) => {
        const { authorityDomain, issueCertificate } = await x509();
        const authority = readAuthority(options.dir);
        const identity = requestedIdentity(kind, name, authorityDomain(authority.certPem), options.role);
        const pair = await issueCertificate(authority, {
          identity,
          addresses: options.address ?? [],
          days: options.days,
        });
        const files = writeIssued(
          options.out,
          identity.kind,
          pair,
          authority.certPem,
          options.force ?? false,
        );
        output.record({ ...files, ...describe(pair.certPem).json }, [
          ...describe(pair.certPem).fields,
          ["certificate", files.cert],
          ["key", files.key],
          ["ca", files.ca],
        ]);
      }),
    );
}

function requestedIdentity(kind: string, name: string, domain: string, role: Role | undefined): Identity {
  const known = (IDENTITY_KINDS as readonly string[]).includes(kind);
  if (!known)
    throw new Fault("invalid-argument", `unknown kind ${JSON.stringify(kind)}`, {
      need: IDENTITY_KINDS.join(", "),
    });
  if (!isIdentityName(name)) {
    throw new Fault("invalid-argument", `${JSON.stringify(name)} cannot be a name`, {
      need: "letters, digits, and . _ - @ in between",
    });
  }
  if (kind === "user") return { kind, name, domain, role: role ?? "member" };
  if (role === undefined) return { kind: kind as IdentityKind, name, domain };
  throw new Fault("invalid-argument", "only users have a role", { fix: "leave out --role" });
}

function addShow(pki: Command, runner: Runner): void {
  pki
    .command("show")
    .description("show what a certificate file says")
    .argument("<file>", "PEM file")
    .addHelpText("after", "\nExample:\n  ferry pki show /etc/ferry/agent.crt\n")
    .action(
      runner.offline(async (output: Output, _options: object, file: string) => {
        const { json, fields } = describe(readCertificateFile(file));
        output.record(json, fields);
      }),
    );
}

function readCertificateFile(file: string): string {
  try {
    const [first] = splitCertificates(readFileSync(file));
    if (first !== undefined) return first;
  } catch (error) {
    throw new Fault("invalid-argument", error instanceof Error ? error.message : String(error));
  }
  throw new Fault("invalid-argument", `${file} holds no certificate`);
}

function describe(pem: string): { json: object; fields: Field[] } {
  const certificate = new X509Certificate(pem);
  const addresses = (certificate.subjectAltName ?? "")
    .split(", ")
    .filter(name => /^(?:DNS|IP Address):/.test(name))
    .map(name => name.replace(/^[^:]+:/, ""));
  const identity = certificate.ca ? undefined : parseIdentity(certificate.subjectAltName);
  const json = {
    identity: identity === undefined ? null : identityLabel(identity),
    role: identity?.role ?? null,
    domain: identity?.domain ?? null,
    isAuthority: certificate.ca,
    issuer: certificate.issuer,
    addresses,
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    sha256: certificate.fingerprint256,
  };
  const fields: Field[] = [
    ["identity", identity === undefined ? "none: this is a certificate authority" : identityLabel(identity)],
    ["role", identity?.role ?? ""],
    ["domain", identity?.domain ?? ""],
    ["issuer", certificate.issuer],
    ["addresses", addresses.join(", ")],
    ["valid from", formatTime(json.notBeforeMs)],
    ["valid until", formatTime(json.notAfterMs)],
    ["sha256", certificate.fingerprint256],
  ];
  return { json, fields };
}
