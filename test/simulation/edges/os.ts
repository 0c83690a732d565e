/** Stands for `node:os`: what the daemons ask of the machine that they run on. */

export { constants } from "node:os";

export const availableParallelism = (): number => 8;
export const tmpdir = (): string => "/tmp";
export const hostname = (): string => "simulated";
