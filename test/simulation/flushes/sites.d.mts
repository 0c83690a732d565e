export declare const sitesIn: (file: string, source: string) => string[];
export declare function marked(file: string, source: string): string;
