/**
 * The mount table as the agent's own mount namespace sees it (/proc/self/mountinfo), and which mount a path is on.
 */

export interface Mount {
  /** Mount point. */
  readonly path: string;
  /** major:minor. */
  readonly device: string;
  /** The kernel's name: ext4, nfs4, fuse.sshfs. */
  readonly fileSystem: string;
  /** Options of the file system, not of this mount of it. */
  readonly options: readonly string[];
}

/** Undefined when a line is not of the documented form: a table with holes would name the wrong file system. */
export function parseMounts(text: string): Mount[] | undefined {
  const lines = text.split("\n").filter(line => line.trim() !== "");
  const mounts = lines.map(parseMount);
  return mounts.every(mount => mount !== undefined) ? mounts : undefined;
}

/** Of the mounts whose mount point leads to the path the deepest one, the newest if several cover each other. */
export function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  const leads = (mount: Mount) =>
    mount.path === "/" || path === mount.path || path.startsWith(`${mount.path}/`);
  return mounts
    .filter(leads)
    .reduce<Mount | undefined>(
      (best, mount) => (best && best.path.length > mount.path.length ? best : mount),
      undefined,
    );
}

/** `36 35 98:0 /root /mount/point rw,noatime [tag]… - ext4 /dev/root rw,errors=continue` */
function parseMount(line: string): Mount | undefined {
  const [place, source] = line.split(" - ");
  const [, , device, , path] = place?.split(" ") ?? [];
  const [fileSystem, , options] = source?.split(" ") ?? [];
  if (!device || !/^\d+:\d+$/.test(device) || !path?.startsWith("/") || !fileSystem) return undefined;
  return { path: unescapeOctal(path), device, fileSystem, options: options?.split(",") ?? [] };
}

/** Space, tab, newline and backslash are written `\040` and the like. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
