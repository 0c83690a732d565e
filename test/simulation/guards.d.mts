export interface Guard {
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  readonly strikes?: string;
}

export declare const GUARDS: readonly Guard[];
export declare function without(name: string, file: string, source: string): string;
