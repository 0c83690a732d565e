/** `ferry credential`: an entry for the credential file of the controller's REST API. Works on files only. */

import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { type Command, Option } from "commander";
import { Fault } from "../../proto/fault.js";
import { isIdentityName, ROLES, type Role } from "../../proto/identity.js";
import { hashSecret } from "../../proto/secret-hash.js";
import { collect } from "../arguments.js";
import type { Output } from "../output/output.js";
import type { Runner } from "../runner.js";

interface CredentialOptions {
  readonly role: Role;
  readonly project?: readonly string[];
  readonly passwordFile?: string;
  readonly tokenFile?: string;
}

const HELP = `
The entry goes to standard output, with hashes of the secrets. The controller takes a changed file up by itself.

Examples:
  ferry credential ana --role member --project blue --password-file /dev/stdin >>/etc/ferry/credentials.toml
  ferry credential robot --role manager --project blue --token-file robot.token >>/etc/ferry/credentials.toml
`;

export function addCredentialCommand(program: Command, runner: Runner): void {
  program
    .command("credential")
    .description("make an entry for the credential file of the REST API")
    .argument("<name>", "name of the user")
    .addOption(new Option("--role <role>", "what the user may do").choices(ROLES).default("member"))
    .option(
      "--project <name>",
      "a project of the user, the first one is the default; may be repeated",
      collect,
    )
    .option("--password-file <file>", "file with the password in its first line")
    .option("--token-file <file>", "make a static token and write it to this new file")
    .addHelpText("after", HELP)
    .action(
      runner.offline((output, options: CredentialOptions, name = "") => credential(output, options, name)),
    );
}

async function credential(output: Output, options: CredentialOptions, name: string): Promise<void> {
  const { role, project: projects = [], passwordFile, tokenFile } = options;
  if (!isIdentityName(name))
    throw new Fault("invalid-argument", `${JSON.stringify(name)} is no name for a user`);
  if (passwordFile === undefined && tokenFile === undefined) {
    throw new Fault("invalid-argument", "a credential needs a secret", {
      fix: "--password-file FILE, or --token-file FILE",
    });
  }
  const lines = [
    `[users.${JSON.stringify(name)}]`,
    `role = "${role}"`,
    `projects = ${JSON.stringify(projects)}`,
    ...(passwordFile === undefined ? [] : [`password = "${await hashSecret(passwordIn(passwordFile))}"`]),
    ...(tokenFile === undefined ? [] : [`token = "${await hashSecret(newToken(name, tokenFile))}"`]),
  ];
  const entry = lines.join("\n");
  if (output.format === "json") output.json({ name, role, projects, entry });
  else output.say(entry);
}

function passwordIn(path: string): string {
  const [password = ""] = readFileSync(path, "utf8").split("\n");
  if (password !== "") return password;
  throw new Fault("invalid-argument", `the first line of ${path} is empty`, { need: "a password" });
}

/** The name in front says whose token it is, so that only one hash has to be tried. */
function newToken(name: string, path: string): string {
  const token = `${name}.${randomBytes(32).toString("base64url")}`;
  writeFileSync(path, `${token}\n`, { mode: 0o600, flag: "wx" });
  return token;
}
