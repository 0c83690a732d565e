export declare const flushNames: (sources: readonly string[]) => ReadonlySet<string>;
export declare const sitesIn: (file: string, source: string, names?: ReadonlySet<string>) => string[];
export declare function marked(file: string, source: string): string;
