/** What came of a target: how much it was given, how it took that, and what was wrong, with the seed and input that show it. */

export interface Tally {
  readonly target: string;
  readonly inputs: number;
  readonly accepted: number;
  readonly refused: number;
  readonly complaints: readonly string[];
}

export const complaintsOf = (tallies: readonly Tally[]): string[] =>
  tallies.flatMap(({ complaints }) => complaints);

export const inputsOf = (tallies: readonly Tally[]): number =>
  tallies.reduce((sum, { inputs }) => sum + inputs, 0);

export function printed(tallies: readonly Tally[]): string {
  const lines = tallies.map(({ target, inputs, accepted, refused }) =>
    [target.padEnd(34), ...[inputs, accepted, refused].map(count => String(count).padStart(9))].join(""),
  );
  return [`${"target".padEnd(34)}   inputs accepted  refused`, ...lines].join("\n");
}
