export declare const PRODUCT: readonly string[];
export declare const builtins: Readonly<Record<string, string>>;
export declare const modules: Readonly<Record<string, string>>;
/** Path from the project's root of what stands for `specifier`; undefined: the real one. */
export declare function replacementFor(specifier: string, importer: string): string | undefined;
