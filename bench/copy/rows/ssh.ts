/** scp and rsync through OpenSSH: what is used today, and the best that both can do. */

import { SSH_HOST, SSHD, startSshDaemon } from "../ssh-daemon.js";
import type { Stage } from "../stage.js";
import type { Row } from "./row.js";

const AES = "aes128-gcm@openssh.com";

/** The command of one copy, given the client's configuration file. */
type Command = (config: string, stage: Stage) => string[];

const sshRow = (name: string, summary: string, program: string, command: Command): Row => ({
  name,
  summary,
  needs: [program, "ssh", "ssh-keygen", SSHD, "unshare"],
  prepare: async stage => {
    const daemon = await startSshDaemon(stage);
    return {
      copy: async () => {
        await stage.run("source", command(daemon.clientConfig, stage));
        return undefined;
      },
      settled: () => daemon.idle(),
    };
  },
});

const scpCommand =
  (...more: string[]): Command =>
  (config, { source, target }) => ["scp", "-q", "-F", config, ...more, source, `${SSH_HOST}:${target}`];

const rsyncCommand =
  (ssh: string, ...more: string[]): Command =>
  (config, { source, target }) => {
    const shell = `ssh -F ${config}${ssh}`;
    // A target of the same size and second would be taken for a copy.
    return ["rsync", "--ignore-times", ...more, "-e", shell, source, `${SSH_HOST}:${target}`];
  };

const withAes = ` -c ${AES}`;

export const scp = sshRow("scp", "ssh, default cipher, transit only; Nova's default", "scp", scpCommand());

export const scpGcm = sshRow("scp-gcm", "ssh, aes128-gcm, transit only", "scp", scpCommand("-c", AES));

export const rsyncSparse = sshRow(
  "rsync-sparse",
  "ssh, default cipher, checksum of the stream; as Nova without compression",
  "rsync",
  rsyncCommand("", "--sparse"),
);

export const rsyncSparseCompress = sshRow(
  "rsync-sparse-compress",
  "ssh, default cipher, checksum of the stream; Nova's rsync",
  "rsync",
  rsyncCommand("", "--sparse", "--compress"),
);

export const rsyncWhole = sshRow(
  "rsync-whole",
  "ssh, aes128-gcm, checksum of the stream",
  "rsync",
  rsyncCommand(withAes, "--whole-file"),
);

export const rsyncSparseGcm = sshRow(
  "rsync-sparse-gcm",
  "ssh, aes128-gcm, checksum of the stream",
  "rsync",
  rsyncCommand(withAes, "--sparse"),
);

export const rsyncDelta = sshRow(
  "rsync-delta",
  "ssh, aes128-gcm, sends what differs",
  "rsync",
  rsyncCommand(withAes, "--inplace", "--no-whole-file"),
);
